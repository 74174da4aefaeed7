"""Found by every Python that starts below `uploader exec`: installs the import hook, then runs the next sitecustomize.

Nothing of this stays: the folder leaves `sys.path`, and `sys.modules` has the next `sitecustomize`, Debian's or a
person's, or none. Any Python may find this file, also 2.7, so what it says must be understood by all of them.
"""

import sys

_HERE = __file__.replace("\\", "/").rpartition("/")[0]

try:
    if sys.version_info >= (3, 10):  # noqa: UP036
        import offline_uploader_hook  # noqa: F401
except Exception as error:  # noqa: BLE001 - whatever it is, the person's program runs
    sys.stderr.write("Uploader: trainings are not recorded (%s: %s)\n" % (type(error).__name__, error))  # noqa: UP031

sys.path[:] = [each for each in sys.path if each != _HERE]
del sys.modules["sitecustomize"]
# Without another one this fails as it would have without us, which Python expects.
import sitecustomize  # noqa: E402, F401
