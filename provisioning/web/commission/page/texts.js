// Every text of the page, from the one file of texts (provisioning/words), so that a translation is another file.

let texts = {};

export async function loadTexts() {
  texts = await (await fetch("/page/texts.json")).json();
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = text(element.dataset.text);
  for (const element of document.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", text(element.dataset.label));
  }
}

// Returns the text of that name with {words} filled in. A name without a text shows as itself.
export function text(name, words = {}) {
  return (texts[name] ?? name).replace(/\{(\w+)\}/g, (_, word) => String(words[word] ?? ""));
}
