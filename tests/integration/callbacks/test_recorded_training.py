"""A real training, journaled by ours, against what upstream 8.4.190 was recorded to send for one.

The shapes below were taken from a recording of upstream's 22 requests. The classes differ in number, the machine in
what it can tell; names and types must not.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from imports.comparing import differences

from uploader.__main__ import main

pytestmark = pytest.mark.training

SCRIPT = Path(__file__).parents[3] / "scripts" / "training" / "train.py"
EPOCHS = 3

NUMBER, TEXT = "number", "text"
TRAIN_ARGS = """
    task mode model data epochs time patience batch imgsz save save_period cache device workers project name
    exist_ok pretrained cls_remap optimizer verbose seed deterministic single_cls rect cos_lr close_mosaic
    resume amp fraction profile freeze multi_scale compile channels_last overlap_mask mask_ratio dropout val
    split save_json conf iou max_det quantize dnn plots nms source vid_stride stream_buffer visualize augment
    agnostic_nms classes retina_masks embed show save_frames save_txt save_conf save_crop show_labels
    show_conf show_boxes line_width format optimize dynamic simplify opset workspace lr0 lrf momentum
    weight_decay warmup_epochs warmup_momentum warmup_bias_lr distill_model dis box cls cls_pw dfl pose kobj
    rle angle dlog dgrad dlam nbs hsv_h hsv_s hsv_v degrees translate scale shear perspective flipud fliplr
    bgr mosaic mixup cutmix copy_paste copy_paste_mode auto_augment erasing cfg tracker save_dir
""".split()
ENVIRONMENT = {
    **dict.fromkeys(
        "ultralyticsVersion hostname os environment pythonVersion pythonExecutable cpu command".split(), TEXT
    ),
    **dict.fromkeys("cpuCount totalRamGb totalDiskGb".split(), NUMBER),
}
SYSTEM = {
    "cpu": NUMBER,
    "ram": NUMBER,
    "disk": [{"mount": TEXT, "used_gb": NUMBER, "total_gb": NUMBER}],
    "disk_io": {"read_mbs": NUMBER, "write_mbs": NUMBER},
    "gpus": {},
    "network": {"recv_mbs": NUMBER, "sent_mbs": NUMBER},
}
VALIDATED = dict.fromkeys("metrics/precision(B) metrics/recall(B) metrics/mAP50(B) metrics/mAP50-95(B)".split(), NUMBER)
TRAINED = dict.fromkeys("train/box_loss train/cls_loss train/dfl_loss lr".split(), NUMBER)
VALIDATION_LOSSES = dict.fromkeys("val/box_loss val/cls_loss val/dfl_loss".split(), NUMBER)
EPOCH = {
    "epoch": NUMBER,
    "metrics": {**TRAINED, **VALIDATED, **VALIDATION_LOSSES},
    "system": SYSTEM,
    "fitness": NUMBER,
    "best_fitness": NUMBER,
}
MODEL_INFO = {"parameters": NUMBER, "gflops": NUMBER, "speedMs": NUMBER}
ROWS = [[TEXT, NUMBER, NUMBER, NUMBER]]
CURVE = {"type": TEXT, "x": [NUMBER], "y": [[NUMBER]]}
COMPLETE = {
    "results": {
        "metrics": {**VALIDATED, "fitness": NUMBER},
        "bestEpoch": NUMBER,
        "bestFitness": NUMBER,
        "validation": {
            "population": NUMBER,
            "sampling": TEXT,
            "rows": ROWS,
            "extremes": {"worst": ROWS, "best": ROWS},
        },
    },
    "classNames": [TEXT],
}
PLOTS = {
    "confusion_matrix": {"type": TEXT, "matrix": [[NUMBER]]},
    "recall_curve": CURVE,
    "precision_curve": CURVE,
    "f1_curve": CURVE,
    "pr_curve": {**CURVE, "ap": [[NUMBER]]},
}


def shape(value: Any) -> Any:
    """Reduce a payload to names and types; of a list, whose items are alike, to the type of all of them."""
    if isinstance(value, dict):
        return {name: shape(item) for name, item in value.items()}
    if isinstance(value, list) and all(not isinstance(item, (dict, list)) for item in value):
        kinds = [shape(item) for item in value]
        return kinds[:1] if len(set(kinds)) <= 1 else kinds
    if isinstance(value, list):
        shapes = [shape(item) for item in value]
        assert all(item == shapes[0] for item in shapes)
        return shapes[:1]
    return NUMBER if isinstance(value, (int, float)) else TEXT if isinstance(value, str) else value


@pytest.fixture(scope="module")
def trained(training_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The folder of a whole training, journaled into `journal` beside its results in `run`."""
    folder = tmp_path_factory.mktemp("trained")
    arguments = ["--data", training_data, "--project", "Demo Project", "--epochs", str(EPOCHS), "--plots"]
    places = ["--save-dir", folder / "run", "--journal", folder / "journal"]
    subprocess.run([sys.executable, SCRIPT, *arguments, *places], check=True)
    return folder


@pytest.fixture
def journaled(trained: Path, read_back: Any) -> Any:
    return read_back(trained / "journal")


def test_the_start_is_told_as_upstream_tells_it(journaled: Any) -> None:
    (started,) = journaled.events("training_started")
    environment = started["environment"]
    optional = {name for name in environment if name.startswith(("git", "gpu"))}
    assert started.keys() == {"trainArgs", "epochs", "device", "environment", "system"}
    assert shape(started["trainArgs"]) == dict.fromkeys(TRAIN_ARGS, TEXT)
    assert shape({name: environment[name] for name in environment.keys() - optional}) == {
        **ENVIRONMENT,
        "uploaderRun": TEXT,
        "uploaderSession": {"uuid": TEXT, "generation": NUMBER, "parent": None},
        "uploaderProofKey": TEXT,
    }
    assert shape(started["system"]) == SYSTEM
    assert (started["epochs"], started["device"]) == (EPOCHS, "cpu")
    assert journaled.rows("SELECT id FROM runs") == [(environment["uploaderRun"],)]
    assert journaled.runs() == [("demo-project", "run")]


def test_each_epoch_is_told_as_upstream_tells_it(journaled: Any) -> None:
    epochs = journaled.events("epoch_end")
    final = {**EPOCH, "metrics": {**TRAINED, **VALIDATED}}  # after the final evaluation, under one epoch more
    assert [epoch["epoch"] for epoch in epochs] == [0, 1, 2, 3]
    assert [shape(epoch) for epoch in epochs] == [{**EPOCH, "modelInfo": MODEL_INFO}, EPOCH, EPOCH, final]
    assert journaled.rows("SELECT epochs FROM run_overview") == [(EPOCHS,)]


def test_the_console_is_told_as_upstream_tells_it(journaled: Any) -> None:
    chunks = journaled.events("console_output")
    for chunk in chunks:
        assert shape({**chunk, "progress": {}}) == {
            "chunkId": NUMBER,
            "content": TEXT,
            "lineCount": NUMBER,
            "progress": {},
        }
        assert chunk["lineCount"] == len(chunk["content"].splitlines())
    text = "\n".join(chunk["content"] for chunk in chunks)
    assert "YOLO11n summary" in text
    assert text.count("32/32") == EPOCHS  # each bar once, when it closed
    assert text.rstrip().splitlines()[-1].count("Results saved to") == 1


def test_the_end_is_told_as_upstream_tells_it(journaled: Any) -> None:
    (complete,) = journaled.events("training_complete")
    plots = complete.pop("plots")
    assert shape({**complete, "results": {**complete["results"], "validation": {}}}) == {
        **COMPLETE,
        "results": {**COMPLETE["results"], "validation": {}},
    }
    validation = complete["results"]["validation"]
    assert validation.keys() == COMPLETE["results"]["validation"].keys()
    for row in [*validation["rows"], *validation["extremes"]["worst"], *validation["extremes"]["best"]]:
        assert [shape(cell) for cell in row] == ROWS[0]
    assert validation["population"] == len(validation["rows"]) == 8
    assert [plot["type"] for plot in plots] == list(PLOTS)
    assert {plot["type"]: shape(plot) for plot in plots} == PLOTS
    assert all(len(plot["x"]) == len(row) == 101 for plot in plots if "x" in plot for row in plot["y"])
    assert complete["classNames"] == ["square", "disc"]


def test_every_save_and_the_final_checkpoint_are_in_the_journal(journaled: Any, trained: Path) -> None:
    saves = [save["epoch"] for save in journaled.events("model_saved") if not save.get("final")]
    assert saves == list(range(EPOCHS))
    final = journaled.events("checkpoint")[-1]
    weights = (trained / "run" / "weights" / "best.pt").read_bytes()
    assert (final["role"], final["publish"], final["filename"]) == ("final", True, "best.pt")
    assert (final["sha256"], final["size"]) == (hashlib.sha256(weights).hexdigest(), len(weights))


def test_the_run_begins_with_its_start_and_ends_with_its_completion(journaled: Any) -> None:
    kinds = journaled.kinds()
    assert kinds[0] == "training_started"
    assert kinds[-1] == "training_complete"  # the final checkpoint is before it, as the test above finds it
    assert journaled.outcomes() == ["complete"]


def test_its_folder_tells_the_same_where_nobody_recorded_it(trained: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(trained / "run", tmp_path / "run"))
    (folder / "uploader_run.json").unlink()
    done = CliRunner().invoke(main, ["import", str(folder), "--journal", str(tmp_path / "journal")])
    assert done.exit_code == 0, done.output
    assert list(differences(trained / "journal", tmp_path / "journal")) == []
