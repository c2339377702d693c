"""Makes the models and predictions beside it: `pip install lightgbm==4.7.0 && python make.py`.

Synthetic values for a dozen of the engine's features, NaN and zeros among them, one of them categorical. Each model is written
by `save_model`, and LightGBM's own probabilities for 60 rows are written with all their digits.
"""

import lightgbm
import numpy

NAMES = ["entropy", "printable", "pe_sections", "pe_entropy_max", "script_eval", "urls", "size", "zeros", "pe_signed", "pe_imports",
         "pdf_script", "high"]
MODELS = {
    "binary": {"objective": "binary"},
    "zero-missing": {"objective": "binary", "zero_as_missing": True, "sigmoid": 1.7},
    "no-missing": {"objective": "cross_entropy", "use_missing": False},
    "forest": {"objective": "binary", "boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.6},
}

chance = numpy.random.default_rng(7)
rows = chance.normal(size=(3000, len(NAMES)))
rows[:, 2] = chance.integers(0, 90, size=3000)
rows[:, 8] = chance.integers(0, 2, size=3000)
rows[chance.random(rows.shape) < 0.1] = 0.0
holes = chance.random(rows.shape) < 0.1
score = rows[:, 0] + rows[:, 1] * rows[:, 3] + 2.0 * (rows[:, 2] % 3 == 0) - 2.0 * rows[:, 8] + holes[:, 6] * 2.0
labels = (score + chance.normal(size=3000) > 0.5).astype(int)
rows[holes] = numpy.nan
shown = rows[:60]
with open("rows.csv", "w") as file:
    file.write(",".join(NAMES) + "\n")
    file.writelines(",".join(repr(float(value)) for value in row) + "\n" for row in shown)
for name, parameters in MODELS.items():
    data = lightgbm.Dataset(rows, labels, feature_name=NAMES, categorical_feature=["pe_sections"], params=parameters)
    common = {"num_leaves": 8, "verbosity": -1, "deterministic": True, "num_threads": 1, "seed": 1, "min_data_per_group": 20}
    booster = lightgbm.train(common | parameters, data, num_boost_round=6)
    booster.save_model(f"{name}.txt")
    # The importances and parameters at the end are of no use here.
    with open(f"{name}.txt") as file:
        text = file.read()
    with open(f"{name}.txt", "w") as file:
        file.write(text[: text.index("end of trees")] + "end of trees\n")
    with open(f"{name}.predictions", "w") as file:
        file.writelines(repr(float(value)) + "\n" for value in booster.predict(shown))
