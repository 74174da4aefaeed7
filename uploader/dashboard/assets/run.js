// The page of a run.
import { data, follow, h } from "./base.js";

const place = document.getElementById("run");
if (place) {
  const key = place.dataset.key;
  const found = await data("/data/run", [["key", key]]);
  place.replaceChildren(h("pre", {}, JSON.stringify([found.line, found.facts], null, 2)));
  follow([["key", key], ["since", found.cursor]], { run: () => location.reload() });
}
