// Clerk's webhook: the delivery holds the whole user, who is written as sent.
import { serve } from "./runtime.mjs";
import { verified } from "./request.mjs";
import { remove, upsert } from "./table.mjs";

async function apply({ type, data }) {
  if (type === "user.deleted") {
    await remove(data.id);
  } else if (type === "user.created" || type === "user.updated") {
    const primary = data.email_addresses.find((email) => email.id === data.primary_email_address_id);
    const name = [data.first_name, data.last_name].filter(Boolean).join(" ");
    await upsert({
      raw: JSON.stringify(data),
      id: data.id,
      name: name || data.username,
      email: primary?.email_address,
      createdAt: new Date(data.created_at),
      updatedAt: new Date(data.updated_at),
    });
  }
}

await serve(async (event) => {
  let delivery;
  try {
    delivery = verified(event);
  } catch {
    return { statusCode: 401 };
  }
  await apply(delivery);
  return { statusCode: 200 };
});
