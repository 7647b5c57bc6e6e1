//! The Dockerfile and what is left out of its context.

use std::path::{Component, Path, PathBuf};

use crate::files::text;

/// The instructions, continued lines joined, comments left out.
fn instructions() -> Vec<(String, String)> {
    let text = text("Dockerfile");
    let lines: Vec<&str> =
        text.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    let joined = lines.join("\n").replace("\\\n", " ");
    let instructions = joined.lines().filter_map(|line| line.trim().split_once(' '));
    instructions.map(|(name, rest)| (name.to_owned(), rest.trim().to_owned())).collect()
}

fn all_of(name: &str) -> Vec<String> {
    let wanted = instructions().into_iter().filter(|(it, _)| it == name);
    wanted.map(|(_, rest)| rest).collect()
}

/// What the image runs when nobody says otherwise, without the program.
pub(crate) fn command() -> Vec<String> {
    let form = |name: &str| -> Vec<String> {
        let last = all_of(name).pop().expect("the instruction");
        serde_json::from_str(&last).expect("the form that needs no shell")
    };
    assert_eq!(
        form("ENTRYPOINT"),
        ["reelway"],
        "platforms replace the command, by its name in PATH"
    );
    form("CMD")
}

#[test]
fn the_image_runs_as_a_user_who_is_not_root() {
    let users = all_of("USER");
    let last = users.last().expect("a user");
    // By number: Kubernetes refuses a name under runAsNonRoot.
    let id: u32 = last.split(':').next().and_then(|id| id.parse().ok()).expect("a number");
    assert!(id > 0);
    let made = all_of("RUN").into_iter().any(|run| run.contains(&format!("--uid {id}")));
    assert!(made, "the user {id} is made, with the folder it writes to");
}

#[test]
fn railway_builds_the_same_file() {
    // Both end a build on Railway: it takes volumes from the service's settings alone, and cache
    // mounts only under an id with the service's own.
    assert!(all_of("VOLUME").is_empty());
    assert!(all_of("RUN").iter().all(|run| !run.contains("--mount=")));
}

#[test]
fn the_image_leaves_the_data_folder_to_the_mount_path_of_a_railway_volume() {
    assert!(all_of("ENV").is_empty(), "a variable in the image wins over the platform's own");
    assert_eq!(all_of("WORKDIR").last().map(String::as_str), Some("/"), "so that ./data is /data");
}

#[test]
fn the_image_is_built_with_a_rust_that_the_code_compiles_with() {
    let arguments = all_of("ARG");
    let rust = arguments.iter().find_map(|it| it.strip_prefix("RUST=")).expect("a Rust");
    let manifest: toml::Table = text("Cargo.toml").parse().expect("TOML");
    let least = manifest["workspace"]["package"]["rust-version"].as_str().expect("a version");
    let number = |version: &str| -> Vec<u32> {
        version.split('.').map(|part| part.parse().expect("a number")).collect()
    };
    assert!(number(rust) >= number(least), "Rust {rust} cannot build what asks for {least}");
}

#[test]
fn the_image_has_the_programs_that_reelway_starts() {
    let runs = all_of("RUN").join("\n");
    for package in
        ["ffmpeg", "libheif-examples", "libvips-tools", "fonts-dejavu-core", "ca-certificates"]
    {
        assert!(runs.contains(&format!(" {package} ")), "{package}");
    }
}

/// Files beside the code that the compiler reads: named in a macro, from this file or from the root.
const FROM_THE_FILE: [&str; 2] = ["include_str!(\"", "include_bytes!(\""];
const FROM_THE_ROOT: [&str; 3] = ["migrate!(\"", "#[folder = \"", "#[template(path = \""];

#[test]
fn nothing_that_the_code_is_built_from_is_kept_out_of_the_image() {
    let ignored = text(".dockerignore");
    let ignored: Vec<&str> = ignored.lines().filter(|line| !line.starts_with('#')).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut needed: Vec<PathBuf> =
        ["Cargo.toml", "Cargo.lock", "src", "crates"].map(PathBuf::from).to_vec();
    for file in rust_files(&root.join("src")).into_iter().chain(rust_files(&root.join("crates"))) {
        let code = text(&file);
        let folder = file.parent().and_then(|it| it.strip_prefix(root).ok()).expect("inside");
        for (marks, base) in [(&FROM_THE_FILE[..], folder), (&FROM_THE_ROOT[..], Path::new(""))] {
            for mark in marks {
                let named = code.split(mark).skip(1).filter_map(|rest| rest.split('"').next());
                needed.extend(named.map(|path| flat(&base.join(path))));
            }
        }
    }
    assert!(needed.contains(&PathBuf::from("migrations/sqlite")), "{needed:?}");
    for path in needed {
        let top = path.components().next().expect("a path");
        let is_out = ignored.iter().any(|&name| top.as_os_str() == name || Path::new(name) == path);
        assert!(!is_out, "{} is needed and stands in .dockerignore", path.display());
    }
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|it| it.expect("one").path());
    entries
        .flat_map(|path| match path.is_dir() {
            true => rust_files(&path),
            false if path.extension().is_some_and(|it| it == "rs") => vec![path],
            false => Vec::new(),
        })
        .collect()
}

/// The path without `.` and `..`.
fn flat(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut flat, part| {
        match part {
            Component::ParentDir => drop(flat.pop()),
            Component::Normal(name) => flat.push(name),
            _ => {}
        }
        flat
    })
}
