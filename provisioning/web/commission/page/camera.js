// What the server tells of the camera, and what it is asked. Nothing here touches the page.

export class Problem extends Error {}
export class WindowOver extends Error {}

// Calls `show(update, bitmap)` for each update until the window is over; `lost()` while there is no answer.
export async function follow({ show, lost, over, signal }) {
  let number = 0;
  while (!signal.aborted) {
    try {
      const update = await asked(await fetch(`/api/view?after=${number}`, { signal }));
      if (update.number <= number || update.camera_id === undefined) continue;
      number = update.number;
      show(update, update.picture_bytes > 0 ? await picture(number, signal) : null);
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof WindowOver) return over(error.message);
      lost();
      await new Promise((resolve) => { setTimeout(resolve, 1500); });
    }
  }
}

export async function tell(path, content) {
  return asked(await fetch(path, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(content),
  }));
}

// Returns null if a newer picture has taken its place meanwhile.
async function picture(number, signal) {
  const answer = await fetch(`/api/picture?n=${number}`, { signal });
  return answer.status === 200 ? createImageBitmap(await answer.blob()) : null;
}

async function asked(answer) {
  const content = await answer.json();
  if (answer.status === 410) throw new WindowOver(content.over);
  if (!answer.ok) throw new Problem(content.problem ?? content.turned_away ?? String(answer.status));
  return content;
}
