"""The same training, streamed by upstream and recorded by ours: do both leave the same on a platform?"""
