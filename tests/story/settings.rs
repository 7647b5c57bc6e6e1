//! The first errors that people make when they start it.

use crate::harness::{Server, run, words};

#[test]
fn a_public_address_without_a_key_is_refused_with_the_way_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = run(folder.path(), &["serve"], &[("PORT", "0")]);
    assert!(!output.status.success());
    let words = words(&output);
    assert!(words.contains("no API key") && words.contains("REELWAY_API_KEY"), "{words}");
}

#[tokio::test]
async fn a_second_server_on_the_same_data_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(folder.path()).await;
    let output = run(folder.path(), &["serve", "--port", "0"], &[]);
    assert!(!output.status.success());
    let words = words(&output);
    assert!(words.contains("another reelway") && words.contains("REELWAY_DATA_DIR"), "{words}");
    server.kill().await;
}

#[test]
fn a_missing_ffmpeg_is_told_with_what_to_install() {
    let folder = tempfile::tempdir().expect("a folder");
    let env = [("REELWAY_FFMPEG", "/nowhere/ffmpeg")];
    let output = run(folder.path(), &["serve", "--port", "0"], &env);
    assert!(!output.status.success());
    let words = words(&output);
    assert!(words.contains("ffmpeg") && words.contains("install"), "{words}");
}

#[test]
fn config_check_tells_everything_that_is_wrong_and_show_hides_secrets() {
    let folder = tempfile::tempdir().expect("a folder");
    let env = [("REELWAY_SLOTS", "many"), ("REELWAY_DRAIN", "soon")];
    let output = run(folder.path(), &["config", "check"], &env);
    assert!(!output.status.success());
    let words = words(&output);
    assert!(words.contains("REELWAY_SLOTS") && words.contains("REELWAY_DRAIN"), "{words}");

    let env = [("REELWAY_API_KEY", "a-very-secret-key")];
    let shown = run(folder.path(), &["config", "show"], &env);
    assert!(shown.status.success());
    assert!(!String::from_utf8_lossy(&shown.stdout).contains("a-very-secret-key"));
    let shown = run(folder.path(), &["config", "show", "--secrets"], &env);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("a-very-secret-key") && shown.contains("whsec_"), "{shown}");
}
