// all figures that are seen, where they are seen, as one picture
const views = [];
const visit = (view) => {
  if (view.model && view.model.type === "Figure" && !views.includes(view)) views.push(view);
  for (const child of view.child_views ?? []) visit(child);
};
for (const root of Bokeh.index.roots) visit(root);
const placed = views
  .map((view) => ({ box: view.el.getBoundingClientRect(), picture: view.export("png").canvas }))
  .filter(({ box }) => box.width > 0 && box.height > 0);
const margin = 10;
const head = 24;
const left = Math.min(...placed.map(({ box }) => box.left)) - margin;
const top = Math.min(...placed.map(({ box }) => box.top)) - margin - head;
const right = Math.max(...placed.map(({ box }) => box.right)) + margin;
const bottom = Math.max(...placed.map(({ box }) => box.bottom)) + margin;
const scale = placed[0].picture.width / placed[0].box.width;
const page = document.createElement("canvas");
page.width = (right - left) * scale;
page.height = (bottom - top) * scale;
const context = page.getContext("2d");
context.scale(scale, scale);
context.fillStyle = "white";
context.fillRect(0, 0, right - left, bottom - top);
for (const { box, picture } of placed) context.drawImage(picture, box.left - left, box.top - top, box.width, box.height);
context.fillStyle = "black";
context.font = "14px sans-serif";
context.fillText(document.title, margin, head - 6);
const link = document.createElement("a");
link.download = name;
link.href = page.toDataURL("image/png");
link.click();
