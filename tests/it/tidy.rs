//! Oracle: the rules of the house, read off the sources. Modules name only modules before them, the mathematics stays pure, every
//! file says what it is, and files stay short.

use std::fs;
use std::path::{Path, PathBuf};

fn sources() -> Vec<(PathBuf, String)> {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        let mut entries: Vec<PathBuf> =
            fs::read_dir(&folder).expect("a folder").map(|e| e.expect("an entry").path()).collect();
        entries.sort();
        for path in entries {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a source file");
                files.push((path, text));
            }
        }
    }
    assert!(files.len() > 40, "the sources were found");
    files
}

/// The modules in the order of `lib.rs`.
fn order() -> Vec<String> {
    let lib = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).expect("lib.rs");
    let names = lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    names.map(str::to_owned).collect()
}

/// The top-level module a file belongs to.
fn module_of(path: &Path) -> String {
    let relative = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).expect("a source");
    let first = relative.components().next().expect("a component").as_os_str().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

/// Every `crate::name` in the code (not in comments) of a text.
fn named(text: &str) -> Vec<String> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| {
        line.match_indices("crate::").map(|(at, found)| {
            let rest = &line[at + found.len()..];
            rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect::<String>()
        })
    })
    .collect()
}

/// Names that stand before their module in the order.
fn out_of_order(order: &[String], module: &str, text: &str) -> Vec<String> {
    let place = |name: &str| order.iter().position(|module| module == name);
    named(text).into_iter().filter(|name| place(name) > place(module)).collect()
}

#[test]
fn modules_name_only_modules_before_them() {
    let order = order();
    assert_eq!(order.first().map(String::as_str), Some("math"));
    for (path, text) in sources() {
        let module = module_of(&path);
        if module == "lib" || module == "main" {
            continue;
        }
        assert!(order.contains(&module), "{} is declared in lib.rs", path.display());
        let found = out_of_order(&order, &module, &text);
        assert!(found.is_empty(), "{} names {found:?}, which come later", path.display());
    }
    let wrong = out_of_order(&order, "energy", "use crate::layer::Layer;\n// crate::cli in a comment is allowed");
    assert_eq!(wrong, ["layer"], "the check sees a wrong name");
}

#[test]
fn the_mathematics_knows_no_runtime_no_clock_and_no_files() {
    let order = order();
    let engine = order.iter().position(|module| module == "engine").expect("the engine");
    let forbidden =
        ["tokio", "std::time", "std::fs", "std::net", "std::io", "std::thread", "async fn", "println!", "eprintln!"];
    for (path, text) in sources() {
        if order[..engine].contains(&module_of(&path)) {
            let code: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
            let found: Vec<_> = forbidden.iter().filter(|word| code.contains(**word)).collect();
            assert!(found.is_empty(), "{} contains {found:?}", path.display());
        }
    }
}

#[test]
fn every_file_says_what_it_is_and_stays_short() {
    for (path, text) in sources() {
        assert!(text.starts_with("//! "), "{} begins with //!", path.display());
        let lines = text.lines().count();
        assert!(lines <= 400, "{} has {lines} lines; split it", path.display());
        assert!(!text.contains("unsafe "), "{} is safe", path.display());
    }
}

#[test]
fn what_readme_and_architecture_name_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for page in ["README.md", "ARCHITECTURE.md"] {
        let text = fs::read_to_string(root.join(page)).expect("a page");
        let words = text.split(|c: char| c.is_whitespace() || "`()[],;|".contains(c));
        let paths = words.filter(|word| {
            ["src/", "tests/", "configs/", "examples/", "benches/"].iter().any(|start| word.starts_with(start))
        });
        let mut seen = 0;
        for path in paths.map(|path| path.trim_end_matches(['.', ':'])) {
            assert!(root.join(path).exists(), "{page} names {path}, which does not exist");
            seen += 1;
        }
        assert!(seen > 3, "{page} has a map");
    }
}
