// WorkOS' own emulator, on the port of 127.0.0.1 that is given; it would listen to everybody.
import { Server } from "node:net";

const { listen } = Server.prototype;
Server.prototype.listen = function (port, ...rest) {
  const listening = rest.find((argument) => typeof argument === "function");
  return listen.call(this, { port, host: "127.0.0.1" }, listening);
};
// The API's record is oldest first always; the emulator's, only when asked.
const { emit } = Server.prototype;
Server.prototype.emit = function (event, request, ...rest) {
  if (event === "request" && request.url.startsWith("/events")) {
    request.url += `${request.url.includes("?") ? "&" : "?"}order=asc`;
  }
  return emit.call(this, event, request, ...rest);
};
const { createEmulator } = await import("workos/emulate");
const { port, apiKey } = await createEmulator({ port: Number(process.argv[2]) });
console.log(`http://127.0.0.1:${port} ${apiKey}`);
