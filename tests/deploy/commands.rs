//! Every `reelway …` that a deployment file starts or a page tells to type.

use std::path::Path;

use clap::Parser as _;
use reelway::cli::Cli;

use crate::files::{document, files_in, manifest, shell_lines, strings, text};
use crate::image;

/// Each command line without the program, and where it stands.
fn all() -> Vec<(String, Vec<String>)> {
    let compose = document("compose.yaml");
    let compose = ["api", "worker"].map(|service| {
        (format!("compose.yaml {service}"), strings(&compose["services"][service]["command"]))
    });
    let pods = ["reelway-api", "reelway-worker"].map(|name| {
        let pod = &manifest("Deployment", name)["spec"]["template"]["spec"];
        (name.to_owned(), strings(&pod["containers"][0]["args"]))
    });
    let units = files_in("deploy/systemd").into_iter().flat_map(|unit| {
        let lines: Vec<_> = text(&unit).lines().map(str::to_owned).collect();
        let starts = lines
            .into_iter()
            .filter_map(|line| line.strip_prefix("ExecStart=/usr/local/bin/reelway ").map(words));
        starts.map(move |command| (unit.display().to_string(), command)).collect::<Vec<_>>()
    });
    let railway = ["railway.json", "deploy/railway/worker.json"].into_iter().filter_map(|path| {
        let start = document(path)["deploy"]["startCommand"].as_str().map(str::to_owned)?;
        Some((path.to_owned(), words(start.strip_prefix("reelway ").expect("reelway"))))
    });
    let pages = files_in("docs/deploy").into_iter().flat_map(|page| typed(&page));
    [("Dockerfile".to_owned(), image::command())]
        .into_iter()
        .chain(compose)
        .chain(pods)
        .chain(units)
        .chain(railway)
        .chain(pages)
        .collect()
}

/// What a page tells to type.
fn typed(page: &Path) -> Vec<(String, Vec<String>)> {
    let lines = shell_lines(page);
    let commands = lines.iter().filter_map(|line| line.strip_prefix("reelway "));
    commands.map(|command| (page.display().to_string(), words(command))).collect()
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn every_command_in_a_deployment_file_can_be_typed() {
    let all = all();
    assert!(all.len() >= 8, "{all:?}");
    for (place, command) in all {
        let line = std::iter::once("reelway").chain(command.iter().map(String::as_str));
        if let Err(error) = Cli::try_parse_from(line) {
            panic!("{place}: reelway {}: {error}", command.join(" "));
        }
    }
}
