//! Who may name whom: read from the source, compared with one table.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Each module and whom it may name. `app` and `main` alone may name everybody; `ffmpeg` is
/// `crates/ffmpeg`.
const ALLOWED: &[(&str, &str)] = &[
    ("clock", ""),
    ("metrics", ""),
    ("id", "clock"),
    ("access", "clock id"),
    ("task", "clock id"),
    ("package", ""),
    ("job", "access clock ffmpeg id package task"),
    ("trace", "job"),
    ("connection", "access clock id"),
    ("store", "access clock connection id job task"),
    ("outbound", ""),
    ("output", "clock outbound"),
    ("input", "clock ffmpeg id job metrics outbound task"),
    ("upload", "access clock id input job output store task"),
    ("claim", "clock id metrics store task trace"),
    (
        "worker",
        "access claim clock connection ffmpeg id input job metrics outbound output package store task trace upload",
    ),
    ("webhook", "clock id job metrics outbound output store trace"),
    ("provider", "claim clock job outbound store task trace webhook"),
    ("request", "access clock connection id job metrics output provider store task trace upload"),
    ("dashboard", "access clock connection id job request store task"),
    ("config", "access connection ffmpeg job output store task worker"),
    ("telemetry", "config metrics trace"),
    ("cli", "access clock config ffmpeg id job output task webhook"),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The modules of `src`, as `lib.rs` has them.
fn modules() -> BTreeSet<String> {
    let lib = fs::read_to_string(root().join("src/lib.rs")).expect("src/lib.rs");
    let names = lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    names.map(str::to_owned).collect()
}

/// The files of a module without its tests.
fn files(module: &str) -> Vec<PathBuf> {
    let single = root().join(format!("src/{module}.rs"));
    if single.is_file() {
        return vec![single];
    }
    let mut files = Vec::new();
    let mut folders = vec![root().join("src").join(module)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_stem().expect("a name");
            if name == "tests" {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    let tests_only: Vec<String> = files.iter().flat_map(|file| modules_for_tests(file)).collect();
    let is_for_tests = |file: &PathBuf| {
        file.file_stem().is_some_and(|stem| tests_only.iter().any(|name| stem == name.as_str()))
    };
    files.retain(|file| !is_for_tests(file));
    files
}

/// The modules that a file declares for tests alone.
fn modules_for_tests(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).expect("a file");
    let declared = text.split("#[cfg(test)]\n").skip(1).filter_map(|after| {
        let line = after.lines().next()?.strip_suffix(';')?;
        line.split_once("mod ").map(|(_, name)| name.to_owned())
    });
    declared.collect()
}

/// The code of a file: no comments, and nothing from its tests on.
fn code(file: &Path) -> String {
    let text = fs::read_to_string(file).expect("a file");
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// Every name that follows `root` in a path, also in a group: `crate::{a, b::C}`.
fn named_after(code: &str, root: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (at, _) in code.match_indices(root) {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':' || c == '$') {
            continue;
        }
        let after = &code[at + root.len()..];
        match after.strip_prefix('{') {
            Some(group) => names.extend(heads(group)),
            None => names.extend(identifier(after)),
        }
    }
    names
}

fn identifier(text: &str) -> Option<String> {
    let name: String = text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    (!name.is_empty()).then_some(name)
}

/// The first name of each path in a group, up to the brace that closes it.
fn heads(group: &str) -> Vec<String> {
    let (mut heads, mut depth, mut item) = (Vec::new(), 0, String::new());
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => heads.extend(identifier(std::mem::take(&mut item).trim())),
            _ => {}
        }
        if depth == 0 && c != ',' {
            item.push(c);
        }
    }
    heads.extend(identifier(item.trim()));
    heads
}

/// Whom a module names.
fn named_by(module: &str) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    for file in files(module) {
        let code = code(&file);
        named.extend(named_after(&code, "crate::"));
        if !named_after(&code, "ffmpeg::").is_empty() {
            named.insert("ffmpeg".to_owned());
        }
    }
    named.remove(module);
    named
}

#[test]
fn no_module_names_one_that_it_must_not_know() {
    let mut broken = Vec::new();
    for (module, allowed) in ALLOWED {
        let allowed: BTreeSet<&str> = allowed.split_whitespace().collect();
        let named = named_by(module);
        let wrong = named.iter().filter(|name| !allowed.contains(name.as_str()));
        broken.extend(wrong.map(|name| format!("{module} -> {name}")));
    }
    assert!(broken.is_empty(), "not in the table: {broken:?}");
}

#[test]
fn every_module_has_its_row_and_app_alone_has_none() {
    let rows: BTreeSet<String> = ALLOWED.iter().map(|(module, _)| (*module).to_owned()).collect();
    let mut expected = modules();
    assert!(expected.remove("app"));
    assert_eq!(rows, expected);
    let main = code(&root().join("src/main.rs"));
    let named = named_after(&main, "reelway::");
    assert_eq!(named.into_iter().collect::<Vec<_>>(), ["app", "cli"]);
}

#[test]
fn each_row_stands_below_those_that_it_names_so_that_there_is_no_circle() {
    let mut above: BTreeSet<&str> = BTreeSet::from(["ffmpeg"]);
    for (module, allowed) in ALLOWED {
        let below: Vec<&str> =
            allowed.split_whitespace().filter(|name| !above.contains(name)).collect();
        assert!(below.is_empty(), "{module} names {below:?}");
        above.insert(module);
    }
}

#[test]
fn the_crate_below_knows_no_job_no_database_and_no_http() {
    let manifest = fs::read_to_string(root().join("crates/ffmpeg/Cargo.toml")).expect("a manifest");
    let table: toml::Table = manifest.parse().expect("TOML");
    let dependencies = table["dependencies"].as_table().expect("a table");
    for foreign in ["reelway", "sqlx", "axum", "hyper", "reqwest", "object_store", "url"] {
        assert!(!dependencies.contains_key(foreign), "crates/ffmpeg depends on {foreign}");
    }
}

#[test]
fn the_architecture_shows_the_same_table() {
    let width = ALLOWED.iter().map(|(module, _)| module.len()).max().unwrap_or_default();
    let row = |(module, allowed): &(&str, &str)| match *allowed {
        "" => format!("{module:width$}  -> nobody"),
        allowed => format!("{module:width$}  -> {}", allowed.replace(' ', ", ")),
    };
    let table: Vec<String> = ALLOWED.iter().map(row).collect();
    let expected = format!("```text\n{}\n{:width$}  -> everybody\n```", table.join("\n"), "app");
    let page = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    assert!(page.contains(&expected), "ARCHITECTURE.md must show:\n{expected}");
}

#[test]
fn paths_are_found_also_in_groups_and_not_in_words_that_only_end_alike() {
    let code =
        "use crate::{a::B, c::{D, e::F}, g};\nlet x = crate::h::I; my_crate::no::X; $crate::no";
    let found: Vec<String> = named_after(code, "crate::").into_iter().collect();
    assert_eq!(found, ["a", "c", "g", "h"]);
}
