// Stack Auth's webhook: the delivery carries no version, so the user is read back and then written.
import { serve } from "./runtime.mjs";
import { verified } from "./request.mjs";
import { remove, upsert } from "./table.mjs";

const headers = {
  "x-stack-access-type": "server",
  "x-stack-project-id": process.env.PROJECT_ID,
  "x-stack-secret-server-key": process.env.SECRET_SERVER_KEY,
};

async function apply({ type, data }) {
  if (type === "user.deleted") {
    await remove(data.id);
  } else if (type === "user.created" || type === "user.updated") {
    // Connections are kept from one fetch to the next.
    const asked = new Date();
    const answer = await fetch(`${process.env.API_URL}/users/${data.id}`, { headers });
    if (!answer.ok) throw new Error(`the provider answers ${answer.status}`);
    const user = await answer.json();
    await upsert({
      raw: JSON.stringify(user),
      id: user.id,
      name: user.display_name,
      email: user.primary_email,
      createdAt: new Date(user.signed_up_at_millis),
      updatedAt: asked,
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
