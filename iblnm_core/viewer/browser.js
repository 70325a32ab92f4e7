// what only the browser knows: keys that were pressed, the address, the title
const deep = (root, selector) => {
  const found = root.querySelector(selector);
  if (found) return found;
  for (const element of root.querySelectorAll("*")) {
    const inside = element.shadowRoot && deep(element.shadowRoot, selector);
    if (inside) return inside;
  }
  return null;
};

export function render({ model }) {
  const typing = (target) => target && (target.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName));
  document.addEventListener("keydown", (event) => {
    // controls sit in shadow trees: the first of the path is what has the focus
    if (typing(event.composedPath()[0]) || event.ctrlKey || event.metaKey || event.altKey) return;
    const link = { n: "a.next-session", p: "a.previous-session" }[event.key];
    if (link) {
      const found = deep(document, link);
      if (found) found.click();
      return;
    }
    if (model.keys_known.includes(event.key)) {
      if (event.key.startsWith("Arrow")) event.preventDefault();
      model.send_msg(event.key);
    }
  });
  const show = () => {
    history.replaceState(null, "", `?${model.query}`);
    document.title = model.page_title;
  };
  model.on("query", show);
  model.on("page_title", show);
  show();
  return document.createElement("span");
}
