//! Files that are not part of the repository.

use std::path::{Path, PathBuf};

/// Real clips, by name; `None` where they are not at hand.
pub(crate) fn media() -> Option<Vec<PathBuf>> {
    fixtures("REELWAY_TEST_MEDIA").map(|folder| files(&folder))
}

/// Hostile files of a folder, by name; `None` where they are not at hand.
pub(crate) fn security(folder: &str) -> Option<Vec<PathBuf>> {
    fixtures("REELWAY_TEST_SECURITY").map(|fixtures| files(&fixtures.join(folder)))
}

/// Photographs and clips of the Debian package `forensics-samples-files`.
pub(crate) fn photos(name: &str) -> Option<PathBuf> {
    let path = Path::new("/usr/share/forensics-samples/original-files").join(name);
    if !path.exists() {
        skip("the Debian package forensics-samples-files is not installed");
    }
    path.exists().then_some(path)
}

fn fixtures(variable: &str) -> Option<PathBuf> {
    let folder = std::env::var_os(variable);
    if folder.is_none() {
        skip(&format!("{variable} is not set"));
    }
    folder.map(Into::into)
}

pub(super) fn skip(why: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{why}");
    #[expect(clippy::print_stderr, reason = "a skipped test says so")]
    {
        eprintln!("skipped: {why}");
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the folder of the fixtures");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|path| path.is_file() && !path.ends_with("README.md"));
    files.sort();
    files
}
