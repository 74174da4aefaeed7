// The page of a run.
import { data, follow, h } from "./base.js";
import { charts, keptSettings, keepSettings } from "./charts.js";
import { upsert } from "./series.js";

const place = document.getElementById("run");
if (place) {
  const key = place.dataset.key;
  const found = await data("/data/run", [["key", key]]);
  const columns = found.epochs ?? { at: [], times: [], values: {} };
  const metrics = h("div");
  place.replaceChildren(h("h2", {}, "Curves"), metrics);
  const series = [{ key, label: "", columns, best: found.facts.best, evaluation: found.facts.evaluation, began: found.line.started_at }];
  const shown = charts(metrics, { series, settings: keptSettings(), changed: keepSettings });
  follow([["key", key], ["since", found.cursor]], {
    run: (news) => { if (news.epochs) { upsert(columns, news.epochs); shown.update(); } },
  });
}
