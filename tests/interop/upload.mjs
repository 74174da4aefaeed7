// Uploads a file with tus-js-client: node upload.mjs FILE CREATE_URL RESUME_URL SHA256 STOP_AFTER
// An empty RESUME_URL begins anew; a positive STOP_AFTER ends the process without a word once that many bytes arrived.
import { createReadStream, statSync } from "node:fs";
import { Upload } from "tus-js-client";

const [file, endpoint, resumeUrl, sha256, stopAfter] = process.argv.slice(2);
const upload = new Upload(createReadStream(file), {
  endpoint,
  uploadUrl: resumeUrl || null,
  uploadSize: statSync(file).size,
  chunkSize: 1_000_000,
  metadata: { filename: "best.pt", sha256 },
  onChunkComplete: (_, accepted) => {
    console.log(accepted);
    if (Number(stopAfter) && accepted >= Number(stopAfter)) process.exit(3);
  },
  onError: (error) => {
    console.log(String(error));
    process.exit(1);
  },
});
upload.start();
