//! The files, read.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// A file's text, by its path in the repository.
pub(crate) fn text(path: impl AsRef<Path>) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The files directly in a folder, sorted, by their paths in the repository.
pub(crate) fn files_in(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder));
    let entries = entries.expect(folder).map(|entry| entry.expect(folder).file_name());
    let mut files: Vec<_> = entries.map(|name| Path::new(folder).join(name)).collect();
    files.sort();
    files
}

/// The objects of a YAML file; of JSON too, which YAML contains.
pub(crate) fn documents(path: impl AsRef<Path>) -> Vec<Value> {
    let path = path.as_ref();
    serde_saphyr::from_multiple(&text(path))
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The one object of a YAML or JSON file.
pub(crate) fn document(path: impl AsRef<Path>) -> Value {
    let mut documents = documents(path);
    assert_eq!(documents.len(), 1);
    documents.remove(0)
}

/// Every object of the Kubernetes manifests.
pub(crate) fn manifests() -> Vec<Value> {
    files_in("deploy/kubernetes")
        .into_iter()
        .filter(|path| path.extension().is_some_and(|it| it == "yaml"))
        .flat_map(documents)
        .collect()
}

/// The manifest of this kind and name.
pub(crate) fn manifest(kind: &str, name: &str) -> Value {
    let mut all = manifests().into_iter();
    let found = all.find(|it| it["kind"] == kind && it["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("there is no {kind} {name}"))
}

/// Every file that deploys Reelway or says how to.
pub(crate) fn all() -> Vec<PathBuf> {
    let roots = ["Dockerfile", "compose.yaml", "railway.json"].map(PathBuf::from);
    let folders = ["deploy/kubernetes", "deploy/railway", "deploy/systemd", "docs/deploy"];
    roots.into_iter().chain(folders.into_iter().flat_map(files_in)).collect()
}

/// The lines of the shell snippets of a page, continued ones joined.
pub(crate) fn shell_lines(page: &Path) -> Vec<String> {
    let text = text(page);
    let snippets = text.split("```").skip(1).step_by(2).filter_map(|it| it.strip_prefix("sh\n"));
    let joined: String = snippets.map(|snippet| snippet.replace("\\\n", " ")).collect();
    joined.lines().map(|line| line.trim().to_owned()).collect()
}

/// The strings of a list.
pub(crate) fn strings(list: &Value) -> Vec<String> {
    let items = list.as_array().expect("a list").iter();
    items.map(|item| item.as_str().expect("a text").to_owned()).collect()
}

/// A map of variables, as text.
pub(crate) fn variables(map: &Value) -> Vec<(String, String)> {
    let pairs = map.as_object().expect("a map").iter();
    pairs.map(|(name, value)| (name.clone(), value.as_str().expect(name).to_owned())).collect()
}
