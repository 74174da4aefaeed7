// The tus server for Node with its file store: node tus_server.mjs FOLDER. Prints its port.
import { FileStore } from "@tus/file-store";
import { Server } from "@tus/server";

const [, , directory] = process.argv;
const server = new Server({ path: "/files", datastore: new FileStore({ directory }), relativeLocation: true });
const listener = server.listen({ host: "127.0.0.1", port: 0 }, () => console.log(listener.address().port));
