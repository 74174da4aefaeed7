// The list of runs.
import { data, follow, h, pageOf } from "./base.js";

const place = document.getElementById("runs");
const list = await data("/data/runs");
place.replaceChildren(h("ul", {}, list.fields.key.map((key) => h("li", {}, h("a", { href: pageOf(key) }, key)))));
follow([["runs", list.cursor]], { runs: () => location.reload() });
