"""The training commands, on a BERT of a few thousand weights."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from core.errors import InvalidRequest, ModelUnavailable, TooLarge
from eval.metrics.ndcg import ndcg
from eval.statistics import randomization_test
from models.train import encoder
from models.train.batches import batches, teacher_scores
from models.train.bert import Base, Bert, build, read_base
from models.train.cross_encoder import load, main, measure_all, scorer, train
from models.train.dev import measure, mix, ndcg10, sign_flips, some_of
from models.train.loop import CHECKPOINT, LOG, Outcome
from models.train.losses import distillation, listwise, multiple_negatives
from models.train.options import chosen, device_of
from models.train.pack import pack
from models.train.pairs import DevQuery, Mined, write_mined
from models.train.save import model_card, save_model
from models.train.schedule import rate
from tests.support.tiny_training import CONFIG, cutter, options, tiny_base, toy

CPU = torch.device("cpu")


@pytest.fixture
def base(tmp_path: Path) -> Base:
    return tiny_base(tmp_path / "base")


@pytest.fixture(scope="module")
def mined() -> Mined:
    return toy()


def trained(
    base: Base, mined: Mined, folder: Path, *arguments: str, dev: bool = False, identity: str = "test"
) -> tuple[Bert, Outcome]:
    found = options(folder, *arguments)
    torch.manual_seed(found.seed)
    model = build(base, "mean", found.trainable_layers)
    outcome = train(model, mined.groups, cutter(base, mined), mined.dev if dev else {}, found, CPU, identity=identity)
    return model, outcome


def log_of(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "out.run" / LOG).read_text().splitlines()]


# ---------------------------------------------------------------- formulas


def test_the_listwise_loss_is_the_log_of_the_share_of_what_is_right() -> None:
    logits = torch.tensor([[1.0, 0.0, 2.0], [0.0, 0.0, 9.0]])
    right = torch.tensor([[True, False, False], [True, True, False]])
    there = torch.tensor([[True, True, True], [True, True, False]])
    first = -math.log(math.e / (math.e + 1 + math.e**2))  # the second has nothing but right ones: 0
    assert float(listwise(logits, right, there)) == pytest.approx((first + 0) / 2, abs=1e-6)


def test_distillation_is_nothing_where_the_student_says_what_the_teacher_says() -> None:
    teacher = torch.tensor([[3.0, 1.0, 2.0, 0.0]])
    there = torch.tensor([[True, True, True, False]])
    said = (teacher - 2) / math.sqrt(2 / 3) / 0.5  # mean 2, standard deviation √(2/3), temperature 0.5
    assert float(distillation(said, teacher, there, 0.5)) == pytest.approx(0, abs=1e-6)
    assert float(distillation(-said, teacher, there, 0.5)) > 1


def test_in_batch_negatives_leave_out_what_is_hidden() -> None:
    queries, passages = torch.eye(2), torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    right, nothing = torch.tensor([0, 1]), torch.zeros(2, 3, dtype=torch.bool)
    hidden = torch.tensor([[False, False, True], [False, False, False]])
    with_twin = multiple_negatives(queries, passages, right, nothing, 10.0)
    without = multiple_negatives(queries, passages, right, hidden, 10.0)
    # the first query's twin of its positive takes half of its mass: log 2 of two queries
    assert float(with_twin - without) == pytest.approx(math.log(2) / 2, abs=1e-3)


def test_the_rate_rises_over_the_warmup_and_falls_to_nothing() -> None:
    found = [rate(step, 10, 1.0, 0.2) for step in range(1, 11)]
    assert found[:3] == [0.5, 1.0, 7 / 8]
    assert found[-1] == 0
    assert found[1:] == sorted(found[1:], reverse=True)


def test_dev_figures_equal_those_of_the_product() -> None:
    draw = np.random.default_rng(0)
    relevant = {"d1": 2, "d7": 1, "elsewhere": 1}
    query = DevQuery(
        id="q", query="q", candidates=tuple(f"d{i}" for i in range(20)), fused=(0,) * 20, relevant=relevant
    )
    scores = draw.normal(size=20)
    grades = [relevant.get(f"d{i}", 0) for i in np.argsort(-scores)]
    assert ndcg10(scores, query) == pytest.approx(ndcg(grades, list(relevant.values()), 10), abs=1e-12)
    differences = draw.normal(0.3, 1, size=40)
    assert sign_flips(differences) == pytest.approx(randomization_test(differences.tolist()).p, abs=0.02)


def test_mixing_is_of_scores_between_nought_and_one() -> None:
    found = mix(np.array([5.0, 1.0, 3.0]), np.array([0.0, 10.0, 10.0]), 0.25)
    assert found.tolist() == [0.25 * 1 + 0.75 * 0, 0.25 * 0 + 0.75 * 1, 0.25 * 0.5 + 0.75 * 1]


def test_the_weight_is_the_one_that_does_best_over_all_fields() -> None:
    def asked(best: int) -> DevQuery:
        return DevQuery(id="q", query="q", candidates=("a", "b"), fused=(1.0, 0.0), relevant={"ab"[best]: 1})

    good_at = {
        "one": [asked(1)],
        "two": [asked(0)],
    }  # the reranker puts b first: right in one field, wrong in the other
    found = measure(good_at, lambda queries: [np.array([0.0, 1.0]) for _ in queries], weights=(0.2, 0.8))
    assert found.weight == 0.2  # both weights leave one field right: the smaller change wins
    assert found.fields["one"].mixed == pytest.approx(1 / math.log2(3))
    assert found.fields["two"].mixed == 1


# ---------------------------------------------------------------- the model


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_the_model_computes_what_transformers_computes(base: Base, pooling: str) -> None:
    from transformers import BertConfig, BertForSequenceClassification

    ours = build(base, pooling, 3).eval()  # type: ignore[arg-type]
    torch.nn.init.normal_(ours.classifier.weight)
    theirs = BertForSequenceClassification(BertConfig(**CONFIG, num_labels=1)).eval()
    theirs.load_state_dict(ours.state_dict(), strict=pooling == "cls")
    ids = torch.randint(4, 12, (3, 9), generator=torch.Generator().manual_seed(1))
    types = (torch.arange(9) > 4).long().expand(3, 9)
    mask = torch.arange(9) < torch.tensor([[9], [6], [7]])
    with torch.no_grad():
        said = ours(ids, types, mask)
        if pooling == "cls":
            expected = theirs(ids, mask.long(), types).logits[:, 0]
        else:
            states = theirs.bert(ids, mask.long(), types).last_hidden_state
            pooled = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
            expected = theirs.classifier(pooled)[:, 0]
    assert torch.allclose(said, expected, atol=1e-5), float((said - expected).abs().max())


def test_only_the_last_layers_change(base: Base, mined: Mined, tmp_path: Path) -> None:
    _, outcome = trained(base, mined, tmp_path, "--steps", "3", "--trainable-layers", "1")
    layers = {name.split(".")[3] for name in outcome.tensors if name.startswith("bert.encoder")}
    assert layers == {"2"}
    assert not any("embeddings" in name for name in outcome.tensors)
    assert {"classifier.weight", "classifier.bias"} <= set(outcome.tensors)
    for name, tensor in outcome.tensors.items():
        if name.startswith("bert."):
            assert not torch.equal(tensor, base.tensors[name.removeprefix("bert.")]), name


def test_more_layers_than_there_are_is_refused(base: Base) -> None:
    with pytest.raises(InvalidRequest, match=r"--trainable-layers 4: this model has 0 to 3"):
        build(base, "mean", 4)


def test_a_base_that_lacks_a_tensor_is_refused(base: Base) -> None:
    fewer = {k: v for k, v in base.tensors.items() if k != "encoder.layer.1.output.dense.bias"}
    with pytest.raises(ModelUnavailable, match=r"encoder\.layer\.1\.output\.dense\.bias"):
        build(replace(base, tensors=fewer), "mean", 1)


# ---------------------------------------------------------------- the loop


def test_a_separable_task_is_learnt(base: Base, mined: Mined, tmp_path: Path) -> None:
    _, outcome = trained(base, mined, tmp_path, "--steps", "60", "--dev-every", "20", dev=True)
    log = log_of(tmp_path)
    assert log[-1]["loss"] < 0.5 * math.log(4)  # at first each of four is as likely
    assert outcome.progress.best == 1.0  # "good" is put first everywhere; the order before had it last


@pytest.mark.slow
def test_the_teacher_alone_teaches_as_well(base: Base, mined: Mined, tmp_path: Path) -> None:
    trained(base, mined, tmp_path, "--steps", "40", "--dev-every", "20", "--distill", "1.0")
    first, last = log_of(tmp_path)
    assert last["loss"] < first["loss"]


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(base: Base, mined: Mined, tmp_path: Path) -> None:
    runs = [
        trained(base, mined, tmp_path / n, "--steps", "8", "--seed", s)[1] for n, s in zip("abc", "001", strict=True)
    ]
    a, b, c = (outcome.tensors for outcome in runs)
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not torch.equal(a["classifier.weight"], c["classifier.weight"])


@pytest.mark.slow
def test_a_resumed_run_ends_where_one_without_a_stop_ends(
    base: Base, mined: Mined, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("--steps", "14", "--checkpoint-every", "5", "--dev-every", "7")
    _, whole = trained(base, mined, tmp_path / "whole", *arguments, dev=True)

    class Stop(Exception):
        pass

    def stops(*_: object) -> bool:
        raise Stop

    with monkeypatch.context() as patched:  # the power fails when step 7 is measured: 5 steps are on disk
        patched.setattr("models.train.loop.Run._look", stops)
        with pytest.raises(Stop):
            trained(base, mined, tmp_path / "cut", *arguments, dev=True)
    assert not log_of_exists(tmp_path / "cut")
    _, resumed = trained(base, mined, tmp_path / "cut", *arguments, dev=True)
    assert resumed.progress.step == 14
    assert all(torch.equal(whole.tensors[name], resumed.tensors[name]) for name in whole.tensors)


def log_of_exists(folder: Path) -> bool:
    return (folder / "out.run" / LOG).exists()


def test_a_checkpoint_of_another_run_is_refused(base: Base, mined: Mined, tmp_path: Path) -> None:
    trained(base, mined, tmp_path, "--steps", "2")
    with pytest.raises(InvalidRequest, match=r"checkpoint\.safetensors is of another run"):
        trained(base, mined, tmp_path, "--steps", "2", identity="other data")


def test_a_damaged_checkpoint_is_named(base: Base, mined: Mined, tmp_path: Path) -> None:
    trained(base, mined, tmp_path, "--steps", "2")
    path = tmp_path / "out.run" / CHECKPOINT
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InvalidRequest, match=r"cannot read the checkpoint .*delete it"):
        trained(base, mined, tmp_path, "--steps", "2")


def test_training_stops_when_dev_gets_no_better(base: Base, mined: Mined, tmp_path: Path) -> None:
    arguments = ("--steps", "400", "--dev-every", "10", "--patience", "2")
    _, outcome = trained(base, mined, tmp_path, *arguments, dev=True)
    assert outcome.stopped_early
    # the best cannot be bettered: two more looks, then the end
    assert outcome.progress.step == outcome.progress.best_step + 2 * 10


def test_every_group_is_read_once_in_an_epoch(base: Base) -> None:
    mined = toy(450)  # more than are sorted together
    made = list(
        batches(mined.groups, cutter(base, mined), pairs=12, title_dropout=0.5, late_weight=0.5, seed=0, epoch=3)
    )
    assert sum(len(b.right) for b in made) == len(mined.groups)
    assert all(len(b.ids) <= 12 for b in made)
    assert all(int(b.right.sum()) == len(b.right) for b in made)  # one positive each


def test_the_teacher_never_holds_a_negative_for_better_than_the_positive(mined: Mined) -> None:
    misled = replace(mined.groups[0], fused=(0.1, 1.0, 0.5, 0.0), late=(0.0, 1.0, 0.5, 0.2))
    scores = teacher_scores(misled, 0.5)
    assert scores is not None
    assert scores[0] == max(scores)


# ---------------------------------------------------------------- what is saved


def test_the_saved_folder_holds_only_trained_tensors_and_gives_the_same_logits(
    base: Base, mined: Mined, tmp_path: Path
) -> None:
    model, outcome = trained(base, mined, tmp_path, "--steps", "6", "--trainable-layers", "1")
    load(model, outcome.tensors, CPU)
    measured = measure_all(model, cutter(base, mined), mined.dev, CPU, half=False)
    card = model_card(
        title="t", what="w", command="c", manifest=mined.manifest, run={}, measured=measured, not_for=("n",)
    )
    size = save_model(tmp_path / "out", outcome.tensors, base, {"pooling": "mean", "max_length": 32}, card)

    saved = load_file(tmp_path / "out" / "model.safetensors")
    assert set(saved) == set(outcome.tensors)
    assert {t.dtype for t in saved.values()} == {torch.float16}
    assert size == sum(2 * t.numel() for t in saved.values())
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["base"] == {"name": "tiny", "sha256": "0" * 64}
    assert config["num_hidden_layers"] == 3
    assert "| toy | 24 |" in card

    again = build(base, "mean", 0)
    again.load_state_dict({**again.state_dict(), **{k: v.float() for k, v in saved.items()}})
    queries = mined.dev["toy"][:3]
    first, second = (scorer(m.eval(), cutter(base, mined), CPU)(queries) for m in (model, again))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_too_many_trained_tensors_are_refused_and_nothing_is_written(base: Base, tmp_path: Path) -> None:
    model = build(base, "mean", 3)
    with pytest.raises(TooLarge, match=r"train fewer layers"):
        save_model(tmp_path / "out", model.trained(), base, {}, "", most_bytes=1000)
    assert not (tmp_path / "out").exists()


def test_three_layers_of_the_packaged_model_may_ship_and_are_read_back_from_half_precision(tmp_path: Path) -> None:
    whole = read_base()
    trained_size = 2 * sum(t.numel() for t in build(whole, "mean", 3).trained().values())
    assert 10_600_000 < trained_size < 12_000_000
    assert pack(tmp_path / "base") < 50_000_000
    packed = read_base(tmp_path / "base")
    assert (packed.name, packed.sha256) == (whole.name, whole.sha256)
    worst = max(float((packed.tensors[k] - v).abs().max()) for k, v in whole.tensors.items())
    assert worst < 2e-3


# ---------------------------------------------------------------- the encoder


@pytest.mark.slow
def test_the_encoder_learns_to_put_the_positive_nearest(base: Base, tmp_path: Path) -> None:
    mined = toy(20)
    model = build(base, "mean", 3)
    texts = cutter(base, mined)
    found = options(tmp_path)
    found.batch_queries, found.hard = 8, 3
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    losses = []
    for epoch in range(12):
        for batch in encoder.contrasts(mined.groups, texts, found, epoch):
            vectors = encoder.embed(model, [*batch.queries, *batch.passages], texts, CPU)
            n = len(batch.queries)
            loss = multiple_negatives(vectors[:n], vectors[n:], batch.right, batch.hidden, encoder.SCALE)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
    assert np.mean(losses[-6:]) < 0.7 * np.mean(losses[:6])


def test_a_passage_of_the_batch_that_answers_as_well_is_no_negative(base: Base, mined: Mined) -> None:
    first = mined.groups[0]
    twin = replace(mined.groups[1], id="twin", positives=first.positives, negatives=("p5.1",))
    import random

    batch = encoder.contrast([first, twin], cutter(base, mined), 1, 0.0, random.Random(0))
    # columns: first's positive and negative, the twin's positive (the same passage) and negative
    assert batch.right.tolist() == [0, 2]
    assert batch.hidden.tolist() == [[False, False, True, False], [True, False, False, False]]


# ---------------------------------------------------------------- options


def test_an_unknown_field_or_device_is_refused(mined: Mined) -> None:
    with pytest.raises(InvalidRequest, match=r"no groups of the field 'law': there are other, toy"):
        chosen(mined, "law")
    assert {g.field for g in chosen(mined, "toy")} == {"toy"}
    with pytest.raises(InvalidRequest, match="unknown device 'gpuu'"):
        device_of("gpuu")


def test_a_part_of_the_dev_queries_is_the_same_part_each_time(mined: Mined) -> None:
    a, b = (some_of(mined.dev, 5, 2, 0)["toy"] for _ in range(2))
    assert [q.id for q in a] == [q.id for q in b]
    assert len(a) == 5
    assert all(len(q.candidates) == len(q.fused) == 2 for q in a)


# ---------------------------------------------------------------- the command


def test_the_command_trains_from_files_and_the_folder_reads_as_a_cross_encoder(
    mined: Mined, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = replace(mined, groups=mined.groups[:4], dev={"toy": mined.dev["toy"][:2]})
    write_mined(tmp_path / "pairs", few)
    out = tmp_path / "shipped"
    arguments = ["--pairs", str(tmp_path / "pairs"), "--out", str(out), "--run", str(tmp_path / "run")]
    assert main([*arguments, "--steps", "1", "--trainable-layers", "1", "--batch-pairs", "16", "--device", "cpu"]) == 0
    assert "toy: hybrid" in capsys.readouterr().err
    config = json.loads((out / "config.json").read_text())
    assert config["base"]["name"] == "all-MiniLM-L6-v2"
    assert set(load_file(out / "model.safetensors")) == set(config["trained"])
    card = (out / "README.md").read_text()
    assert "--trainable-layers 1" in card
    assert str(tmp_path) not in card  # no path of the machine
    assert main([*arguments, "--device", "cpu", "--trainable-layers", "9"]) == 1
    assert "--trainable-layers 9: this model has 0 to 6" in capsys.readouterr().err
