// From a Function URL's event to what Svix has signed.
import { Webhook } from "svix";

const webhook = new Webhook(process.env.SIGNING_SECRET);

/** The event that was signed; throws if it was not. */
export function verified(event) {
  const body = event.isBase64Encoded ? Buffer.from(event.body, "base64").toString() : event.body;
  return webhook.verify(body, event.headers);
}
