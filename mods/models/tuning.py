"""The search for hyper-parameters: small spaces, rolling validation, a study that goes on.

Optuna (extra `tune`) and not KerasTuner, which is made for one network in memory: Optuna
prunes what does badly on the first folds, goes on where it was killed, and needs no server.
Source of the sampler: Bergstra et al., Algorithms for Hyper-Parameter Optimization, NIPS 2011.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from mods.config import SEARCH_SPACES, folders
from mods.errors import ConfigError, DataError, ModelError

if TYPE_CHECKING:
    import pandas as pd

    from mods.models.hyperparameters import Hyperparameters

__all__ = ["FOLDS", "tune"]

#: Parts of the last two fifths of the range, each forecast by a model that saw what lies before.
FOLDS = 2


def tune(
    data: Path | str,
    model: str,
    *,
    model_type: str = "LSTM",
    trials: int = 20,
    query: str | None = None,
    window: str | None = None,
    time_range: str | None = None,
    exclude: Sequence[str] = (),
    progress: bool = True,
    **fixed: Any,
) -> dict[str, Any]:
    """Search for the hyper-parameters of a model type; return the best and how to train with them.

    Each trial trains on what lies before each of `FOLDS` later parts of the range and is judged
    on that part by its mean MASE over steps and columns; trials that do worse than the median of
    those before are pruned after the first part.  The study is kept under the checkpoints: a
    search that was killed, or asked for more trials, goes on.

    Parameters
    ----------
    data, query, window, time_range, exclude
        As for `mods.models.train.train`; rows to be judged on later do not belong in the range.
    model
        The name of the model to be trained afterwards.
    model_type
        One of `mods.config.SEARCH_SPACES`.
    trials
        Finished trials in all, those of earlier runs included.
    progress
        Show a bar on stderr.
    **fixed
        Hyper-parameters that are not searched.

    Returns
    -------
    dict
        `model, model_type, best` (hyper-parameters), `mase`, `default_mase` (of the defaults,
        which are the first trial), `finished, pruned, study` (path) and `command`, a line for
        the shell.

    Raises
    ------
    ConfigError
        Where Optuna is not installed, or there is no search space for the type.
    DataError
        Where the range is too short to be cut.
    ModsError
        Where the data, the name or a hyper-parameter cannot be used.
    """
    from mods.dataset import read_data
    from mods.models.hyperparameters import Hyperparameters
    from mods.models.registry import locate_model
    from mods.timerange import select

    optuna = _optuna()
    if model_type not in SEARCH_SPACES:
        known = ", ".join(SEARCH_SPACES)
        raise ConfigError(f"no search space for {model_type!r}", f"one of {known}")
    if trials < 1:
        raise ConfigError(f"{trials} trials", "1 or more")
    settings = Hyperparameters.of(model_type=model_type, **fixed)
    space = {
        name: values for name, values in SEARCH_SPACES[model_type].items() if name not in fixed
    }
    if not space:
        raise ConfigError("every hyper-parameter is fixed", "at least one to search")
    place = folders().checkpoints / locate_model(model, must_exist=False).stem
    frame = read_data(data, query=query, window=window)
    part = select(frame, time_range, exclude)
    part.attrs.update(frame.attrs)
    starts = _starts(len(part), settings)

    place.mkdir(parents=True, exist_ok=True)
    path = place / "tuning.journal"
    asked = [str(data), query, window, time_range, list(exclude), len(part), settings.as_dict()]
    study = _study(optuna, path, f"{model_type}-{_digest([*asked, space])}", settings.seed)
    if not study.trials:
        # the defaults first: whatever is found has to beat them
        study.enqueue_trial({name: getattr(settings, name) for name in space})
    bar = tqdm(total=trials, initial=min(_ended(study), trials), desc="tuning", unit="trial",
               disable=None if progress else True)  # fmt: skip
    with bar:
        while _ended(study) < trials:
            study.optimize(
                lambda trial: _judged(trial, space, settings, part, starts),
                n_trials=1,
                catch=(DataError, ModelError),
            )
            bar.update()
            if any(trial.value is not None for trial in study.trials):
                bar.set_postfix_str(f"best {_best(study).value:.4f}", refresh=False)
    shell = _shell(data, model, query, window, time_range, exclude)
    return _document(study, model, settings, fixed, shell) | {"study": str(path)}


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise ConfigError(
            "the search needs Optuna, which is not installed",
            mend="Install it with: pip install 'mods[tune]'",
        ) from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def _study(optuna: Any, path: Path, name: str, seed: int) -> Any:
    """Return the study of that name, begun or as it was left; a journal needs no database."""
    backend = optuna.storages.journal.JournalFileBackend(str(path))
    study = optuna.create_study(
        study_name=name,
        storage=optuna.storages.JournalStorage(backend),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=3),
        load_if_exists=True,
    )
    # a search that goes on draws what one in a single run would not have drawn yet
    study.sampler = optuna.samplers.TPESampler(seed=seed + len(study.trials), n_startup_trials=5)
    return study


def _digest(what: list[Any]) -> str:
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:12]


def _starts(rows: int, settings: Hyperparameters) -> list[int]:
    """Return the first rows of the parts that are judged, and the end.

    >>> from mods.models.hyperparameters import Hyperparameters
    >>> _starts(1000, Hyperparameters())
    [600, 800, 1000]
    """
    least = 5 * (settings.sequence_len + 2 * settings.horizon)
    if rows < least:
        raise DataError(f"{rows} rows to search on", f"at least {least}", "Give a longer range.")
    return [rows * (5 - FOLDS + n) // 5 for n in range(FOLDS + 1)]


def _judged(
    trial: Any,
    space: Mapping[str, Sequence[Any]],
    settings: Hyperparameters,
    frame: pd.DataFrame,
    starts: Sequence[int],
) -> float:
    """Return the mean MASE of one setting over the parts; prune it where it does badly."""
    import optuna

    from mods.models.evaluation import CONTEXT, evaluate_table
    from mods.models.mods_model import Model

    chosen = {name: trial.suggest_categorical(name, list(values)) for name, values in space.items()}
    found = []
    for number, (start, stop) in enumerate(pairwise(starts)):
        model = Model(**settings.as_dict() | chosen)
        model.fit(_rows(frame, 0, start + 1 - settings.horizon), progress=False)
        table = model.backtest(_rows(frame, start - CONTEXT, stop))
        table = table[table["origin"].isin(frame.index[start : stop - settings.horizon])]
        judged = evaluate_table(table, frame, baselines=["persistence"]).document()
        ratios = [value for step in judged["steps"].values() for value in step["mase"]]
        found.append(float(np.mean([value for value in ratios if value is not None])))
        trial.report(float(np.mean(found)), number)
        if number < FOLDS - 1 and trial.should_prune():
            raise optuna.TrialPruned
    return float(np.mean(found))


def _rows(frame: pd.DataFrame, start: int, stop: int) -> pd.DataFrame:
    part = frame.iloc[max(0, start) : stop]
    part.attrs.update(frame.attrs)
    return part


def _ended(study: Any) -> int:
    return sum(trial.state.is_finished() for trial in study.trials)


def _best(study: Any) -> Any:
    done = [trial for trial in study.trials if trial.state.name == "COMPLETE"]
    return min(done, key=lambda trial: (trial.value, trial.number))


def _document(
    study: Any,
    model: str,
    settings: Hyperparameters,
    fixed: Mapping[str, Any],
    shell: Sequence[str],
) -> dict[str, Any]:
    states = Counter(trial.state.name for trial in study.trials)
    if not states["COMPLETE"]:
        failed = [trial.system_attrs.get("fail_reason") for trial in study.trials]
        raise DataError(
            f"no trial could be finished: {next(filter(None, failed), 'no reason known')}"
        )
    best = _best(study)
    words = ["mods", "train", *shell, "--model-type", settings.model_type]
    for name, value in {**fixed, **best.params}.items():
        option = "--" + name.replace("_", "-")
        if isinstance(value, bool):
            words.append(option if value else option.replace("--", "--no-", 1))
        else:
            words += [option, str(value)]
    return {
        "model": model,
        "model_type": settings.model_type,
        "best": dict(best.params),
        "mase": best.value,
        "default_mase": study.trials[0].value,
        "finished": states["COMPLETE"],
        "pruned": states["PRUNED"],
        "failed": states["FAIL"],
        "command": shlex.join(words),
    }


def _shell(
    data: Path | str,
    model: str,
    query: str | None,
    window: str | None,
    time_range: str | None,
    exclude: Sequence[str],
) -> list[str]:
    words = ["--data", str(data), "--model", model]
    for option, value in (("--query", query), ("--window", window), ("--range", time_range)):
        words += [option, value] if value is not None else []
    for value in exclude:
        words += ["--exclude", value]
    return words
