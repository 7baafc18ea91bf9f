//! What is read: defaults, precedence, the data set, presets, and the way out to TOML and back.

use super::super::{
    Activation, Config, DataName, Loss, OptimizerKind, Order, Precision, RuleName, Scale, ScheduleMode, check, load,
    presets, to_toml,
};
use super::{assert_helps, config, preset, problems, read};

#[test]
fn nothing_gives_the_defaults() {
    let defaults = Config::default();
    assert_eq!(config("", &[]), defaults);
    assert_eq!(load(None, &[]).expect("the preset digits").config, defaults);
    assert_eq!(check(&defaults), Ok(()));
}

#[test]
fn a_file_wins_over_the_defaults_and_overrides_over_the_file() {
    let text = "seed = 1\n[learning]\nnudge = 0.1\nepochs = 2\n";
    let overrides = ["learning.nudge=0.2", "learning.epochs=9", "learning.epochs = 10"];
    let loaded = read(text, &overrides).expect("a configuration");
    let learning = &loaded.config.learning;
    assert_eq!((loaded.config.seed, learning.nudge, learning.epochs), (1, 0.2, 10));
    assert_eq!(learning.param_lr, Config::default().learning.param_lr);
    assert_eq!(loaded.overrides, overrides);
    assert_eq!((loaded.name.as_str(), loaded.origin.as_str()), ("mine", "mine.toml"));
    assert_eq!(loaded.set_at["seed"], "mine.toml:1");
    assert_eq!(loaded.set_at["learning.epochs"], "command line, override 3");
    assert!(!loaded.set_at.contains_key("dtype"));
}

#[test]
fn values_of_overrides_are_toml_or_bare_text() {
    let loaded = config(
        "",
        &[
            "learning.optimizer=sgd",
            "model.init = \"xavier\"",
            "model.widths=[784, 32, 10]",
            "model.precision=[1, 0.5]",
            "inference.activity_lr=1",
            "data.shuffle=false",
            "data.dir=../x y",
            "output.name=2024-05-01",
            "output.dir= 7 ",
            "links={ message = \"error\" }",
        ],
    );
    assert_eq!(loaded.learning.optimizer, OptimizerKind::Sgd);
    assert_eq!(loaded.model.widths, [784, 32, 10]);
    assert_eq!(loaded.model.precision, Precision::PerLayer(vec![1.0, 0.5]));
    assert_eq!(loaded.inference.activity_lr, 1.0);
    assert!(!loaded.data.shuffle);
    assert_eq!(loaded.data.dir, "../x y");
    assert_eq!((loaded.output.name.as_str(), loaded.output.dir.as_str()), ("2024-05-01", "7"));
    assert_eq!(config("", &["data.dir=a=b"]).data.dir, "a=b");
}

#[test]
fn every_spelling_of_toml_is_understood() {
    let text = "\u{feff}model.act_fn = 'tanh'\r\n\r\n[data]\r\nbatch_size = 0x10\r\nseed = 1_000\r\n\
                [schedule]\r\nmode = \"free-running\"";
    let loaded = config(text, &[]);
    assert_eq!(loaded.model.act_fn, Activation::Tanh);
    assert_eq!((loaded.data.batch_size, loaded.data.seed), (16, 1000));
    assert_eq!(loaded.schedule.mode, ScheduleMode::FreeRunning);
}

#[test]
fn precision_of_a_layer() {
    let uniform = Precision::Uniform(2.0);
    assert_eq!((uniform.of(0), uniform.of(1), uniform.of(9)), (None, Some(2.0), Some(2.0)));
    let list = Precision::PerLayer(vec![3.0, 4.0]);
    assert_eq!((list.of(0), list.of(1), list.of(2), list.of(3)), (None, Some(3.0), Some(4.0), None));
}

#[test]
fn a_folder_alone_selects_the_whole_set() {
    let data = config("", &["data.dir=x"]).data;
    assert_eq!((data.name, data.train, data.test), (DataName::Idx, 0, 0));
    let data = config("[data]\ndir = \"x\"\ntrain = 100\n", &[]).data;
    assert_eq!((data.name, data.train, data.test), (DataName::Idx, 100, 0));
    let data = config("[data]\nname = \"idx\"\n", &["data.dir=x", "data.test=5"]).data;
    assert_eq!((data.name, data.train, data.test), (DataName::Idx, 0, 5));
    let data = config("[data]\nname = \"idx\"\n", &["data.name=digits"]).data;
    assert_eq!((data.name, data.train, data.test), (DataName::Digits, 12_000, 2_000));
}

#[test]
fn the_written_configuration_reads_back_the_same() {
    let cases: &[&[&str]] = &[
        &[],
        &["data.dir=a folder/with \"quotes\" and \\ and é\ttab"],
        &["data.dir=x", "data.train=12000", "seed=18446744073709551615"],
        &["model.widths=[3,2]", "model.precision=[0.1]", "dtype=f64", "inference.tolerance=1.5e-300"],
        &["model.precision=0.30000000000000004", "learning.param_lr=1e16", "learning.epsilon=1e-9"],
        &["model.loss=squared-error", "model.output_act_fn=hard-sigmoid", "learning.rule=pc-clamped"],
        &["schedule.mode=free-running", "links.message=state", "schedule.threads=0", "record.cosine_every=0"],
        &["output.name=true", "data.shuffle=false", "learning.optimizer=adamw"],
    ];
    for overrides in cases {
        let first = config("", overrides);
        let text = to_toml(&first);
        let again = read(&text, &[]).expect("the written configuration");
        assert_eq!(again.config, first, "{text}");
        assert_eq!(to_toml(&again.config), text, "writing is stable");
        assert_eq!(check(&first), Ok(()));
        let other: Config = toml::from_str(&text.replace("18446744073709551615", "0")).expect("another reader");
        assert_eq!(other.model, first.model, "the plain TOML reader agrees");
    }
}

#[test]
fn a_configuration_built_by_hand_is_checked() {
    let mut config = Config::default();
    config.inference.activity_lr = f64::NAN;
    config.model.loss = Loss::CrossEntropy;
    config.model.output_act_fn = Activation::Tanh;
    let error = check(&config).expect_err("two problems");
    let titles: Vec<&str> = error.diagnostics.iter().map(|problem| problem.title.as_str()).collect();
    assert_eq!(titles.len(), 2, "{error}");
    assert!(titles[0].contains("inference.activity_lr") && titles[1].contains("model.output_act_fn"));
}

#[test]
fn every_preset_loads() {
    for each in presets() {
        let loaded = preset(each.name, &["data.dir=x"]);
        assert_eq!((loaded.name.as_str(), loaded.origin), (each.name, format!("preset {}", each.name)));
        assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
        let first = each.text.lines().next().unwrap_or_default();
        assert_eq!(first, format!("# {}", each.summary), "the first line is the summary");
        assert!(each.text.contains("# Where from:") && each.text.contains("# How to run:"));
        let path = format!("{}/configs/{}.toml", env!("CARGO_MANIFEST_DIR"), each.name);
        let file = load(Some(&path), &["data.dir=x".to_owned()]).expect("the file of the preset");
        assert_eq!((file.config, file.name.as_str()), (loaded.config, each.name));
    }
}

#[test]
fn presets_are_what_they_say() {
    let mnist = preset("mnist", &["data.dir=x"]).config;
    let expected = config("", &["data.dir=x", "learning.optimizer=momentum", "learning.param_lr=0.02"]);
    assert_eq!(mnist, expected, "the preset mnist is the defaults with momentum, on other data");
    let paper = preset("mnist-paper", &["data.dir=x"]).config;
    assert_eq!((paper.data.train, paper.data.validation, paper.data.batch_size), (0, 10_000, 64));
    assert_eq!((paper.inference.max_infer_iters, paper.inference.activity_lr), (50, 0.1));
    assert_eq!((paper.learning.optimizer, paper.learning.momentum), (OptimizerKind::Momentum, 0.9));
    assert_eq!((paper.learning.param_lr, paper.learning.nudge), (0.001, 0.001));
    let authors = preset("authors-mnist", &["data.dir=x"]).config;
    assert_eq!((authors.data.scale, authors.schedule.order), (Scale::Symmetric, Order::GaussSeidel));
    assert_eq!((authors.inference.activity_lr, authors.learning.nudge), (0.3, 1e-4));
    let weak = preset("wb-mnist", &["data.dir=x"]).config.model;
    let precisions: Vec<f64> = (1..4).filter_map(|layer| weak.precision_of(layer)).collect();
    let falling = precisions.windows(2).all(|pair| (pair[1] / pair[0] - weak.precision_ratio).abs() < 1e-12);
    assert!((precisions[0] - 1.0).abs() < 1e-12 && falling, "{precisions:?}");
    let prospective = preset("prospective", &[]).config;
    assert_eq!((prospective.learning.rule, prospective.model.precision_of(3)), (RuleName::PcClamped, Some(1.0)));
    assert!(prospective.inference.tolerance > 0.0, "to equilibrium");
    let tiny = preset("tiny", &[]).config;
    assert_eq!((tiny.model.widths, tiny.model.act_fn), (vec![784, 32, 10], Activation::Tanh));
}

#[test]
fn the_preset_mnist_says_where_to_get_the_files() {
    let error = load(Some("mnist"), &[]).expect_err("no folder");
    let problem = &error.diagnostics[0];
    assert_helps(problem, "give data.dir=FOLDER, or run `asynapse data fetch mnist`");
    assert_eq!(problem.marks[0].place.origin, "in the defaults");
    assert_eq!(problem.marks[1].place.origin, "preset mnist");
}

#[test]
fn the_commented_lines_of_the_preset_digits_are_the_defaults() {
    let text = super::super::presets()[0].text;
    let is_setting = |line: &&str| line.starts_with("# [") || (line.starts_with("# ") && line.contains(" = "));
    let lines: Vec<&str> = text.lines().filter(is_setting).map(|line| &line[2..]).collect();
    assert!(lines.len() > 15, "{lines:?}");
    assert_eq!(config(&lines.join("\n"), &[]), Config::default());
}

#[test]
fn broken_text_is_not_judged_by_the_defaults() {
    let problems = problems("[schedule\nmode = \"free-running\"", &["links.message=state"]);
    assert!(problems.iter().all(|problem| problem.title == "this is not TOML"), "{problems:?}");
}
