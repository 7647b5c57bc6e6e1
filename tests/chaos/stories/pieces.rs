//! A long video is made by all who have room, whoever of them dies.

use std::time::Duration;

use serde_json::{Value, json};

use crate::fleet::{Launch, ffmpeg_that};
use crate::source::{FILM_PICTURES, Source};
use crate::stage::Stage;
use crate::support::{client, eventually, files, say};

/// How long a job may take: once more than a lost task, which is found after half a minute.
const PATIENCE: Duration = Duration::from_mins(3);

/// Every piece takes this long at least, so that others have time to do something.
const SLOWLY: &str = "sleep 0.7";

struct Film {
    stage: Stage,
    source: Source,
    slow: String,
}

impl Film {
    async fn open() -> Option<Self> {
        let stage = Stage::open().await?;
        let source = Source::of_a_film(stage.folder.path()).await;
        let slow = ffmpeg_that(stage.folder.path(), SLOWLY);
        Some(Self { stage, source, slow })
    }

    fn worker(&self, name: &str) -> Launch {
        let launch = self.stage.worker(name).with("REELWAY_FFMPEG", &self.slow);
        launch.with("REELWAY_PIECE_SECS", "2").with("REELWAY_SANDBOX", "permissive")
    }

    async fn submit(&self) -> String {
        let options = json!({"width": 320, "copy": "never"});
        self.stage.submit(&self.source.film(), "video", options).await
    }

    /// How many pieces there are in a state.
    async fn pieces(&self, state: &str) -> i64 {
        let mut database = self.stage.database.connect().await;
        let text = "select count(*) from pieces where state = $1";
        sqlx::query_scalar(text).bind(state).fetch_one(&mut database).await.expect("a number")
    }

    /// The job after it has ended well, with what is said of its encode.
    async fn ended(&self, job: &str) -> (Value, String) {
        let task = self.stage.ended(job, PATIENCE).await;
        let url = format!("{}/jobs/{job}", self.stage.server.launch.url());
        let job: Value =
            client().get(url).send().await.expect("an answer").json().await.expect("JSON");
        assert_eq!(task.state, "succeeded", "{job:#}");
        let encode = job["tasks"].as_array().expect("stages").iter().find(|stage| {
            stage["summary"].as_str().is_some_and(|summary| summary.contains("pieces"))
        });
        let summary = encode.map(|stage| stage["summary"].as_str().expect("text").to_owned());
        (job.clone(), summary.unwrap_or_else(|| panic!("{job:#}")))
    }

    /// Every picture is there.
    fn check(&self, job: &Value) {
        let secs = job["output"]["duration"].as_f64().expect("a length");
        assert!((secs - 24.0).abs() < 0.2, "{job:#}");
        let all = files(&self.stage.folder.path().join("files"));
        let output = all.iter().find(|path| path.ends_with("video.mp4")).expect("the output");
        let ask = "-v error -count_packets -select_streams v -show_entries stream=nb_read_packets \
                   -of csv=p=0";
        #[expect(clippy::disallowed_methods, reason = "the test looks at what was made")]
        let said = std::process::Command::new("ffprobe").args(ask.split(' ')).arg(output).output();
        let said = String::from_utf8(said.expect("ffprobe").stdout).expect("text");
        assert_eq!(said.trim().trim_matches(','), FILM_PICTURES.to_string());
    }
}

/// The two numbers of "made in 7 pieces, 3 of them elsewhere".
fn numbers(summary: &str) -> (u64, u64) {
    let mut numbers = summary.split_whitespace().filter_map(|word| word.parse().ok());
    (numbers.next().expect("a number"), numbers.next().expect("a second one"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_video_is_made_by_all_who_have_room() {
    let Some(film) = Film::open().await else { return };
    let mut workers = Vec::new();
    for name in ["one", "two"] {
        workers.push(film.worker(name).start().await);
    }
    let job = film.submit().await;
    let (job, summary) = film.ended(&job).await;
    let (all, elsewhere) = numbers(&summary);
    assert!(all >= 5 && elsewhere >= 1 && elsewhere < all, "{summary}");
    film.check(&job);
    let folder = film.stage.folder.path().join("files");
    eventually("the pieces are swept", async || (files(&folder).len() == 1).then_some(())).await;
    say(&summary);
    for mut worker in workers {
        worker.kill().await;
    }
    film.stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_made_of_a_long_video_outlives_who_held_it_and_who_helped() {
    let Some(film) = Film::open().await else { return };
    let mut holder = film.worker("holder").with("REELWAY_PIECES", "always").start().await;
    let job = film.submit().await;
    film.stage.begun(&job).await;
    let mut helper = film.worker("helper").start().await;
    eventually("two pieces are made", async || (film.pieces("made").await >= 2).then_some(()))
        .await;
    holder.kill().await;
    helper.kill().await;
    let made = film.pieces("made").await;
    let mut heir = film.worker("heir").with("REELWAY_PIECES", "auto").start().await;
    let (job, summary) = film.ended(&job).await;
    let (_, elsewhere) = numbers(&summary);
    // The heir may have helped before it was known that the holder is dead.
    assert!(elsewhere >= u64::try_from(made).expect("a count"), "{summary}");
    film.check(&job);
    say(&format!("{made} pieces outlived their makers: {summary}"));
    heir.kill().await;
    film.stage.close().await;
}
