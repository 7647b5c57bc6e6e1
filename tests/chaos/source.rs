//! A web server with small clips on it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path as Segment, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::time::interval;

use crate::support::run;

/// How long a clip from `/slow/` takes to come.
pub(crate) const SLOW: Duration = Duration::from_secs(26);

/// In how many pieces it comes.
const PIECES: u32 = 52;

/// The clips, as lavfi describes them.
const CLIPS: [(&str, &str, &str); 3] = [
    ("one", "testsrc2=size=320x180:rate=25:duration=1", "sine=frequency=440:duration=1"),
    ("two", "testsrc2=size=480x270:rate=25:duration=2", "sine=frequency=330:duration=2"),
    ("three", "mandelbrot=size=320x240:rate=15,trim=duration=3", "sine=frequency=220:duration=3"),
];

/// A long one.
const FILM: (&str, &str, &str) =
    ("film", "testsrc2=size=640x360:rate=25:duration=24", "sine=frequency=440:duration=24");

/// How many pictures it has.
pub(crate) const FILM_PICTURES: u64 = 600;

type Clips = Arc<HashMap<String, Bytes>>;

/// A running source.
pub(crate) struct Source {
    base: String,
}

impl Source {
    pub(crate) async fn start(folder: &Path) -> Self {
        let mut clips = HashMap::new();
        for (name, picture, sound) in CLIPS {
            clips.insert(name.to_owned(), make(folder, name, picture, sound).await);
        }
        Self::serve(clips).await
    }

    /// One with a long film, which can be begun at every second.
    pub(crate) async fn of_a_film(folder: &Path) -> Self {
        let (name, picture, sound) = FILM;
        let film = make(folder, name, picture, sound).await;
        Self::serve(HashMap::from([(name.to_owned(), film)])).await
    }

    /// The film.
    pub(crate) fn film(&self) -> String {
        format!("{}/clip/{}", self.base, FILM.0)
    }

    async fn serve(clips: HashMap<String, Bytes>) -> Self {
        let app = Router::new()
            .route("/clip/{name}", get(clip))
            .route("/slow/{name}", get(slow))
            .with_state(Arc::new(clips));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, app).await.expect("it serves") });
        Self { base }
    }

    /// One of the small clips, by number. The query makes it an input of its own.
    pub(crate) fn clip(&self, number: usize, query: u32) -> String {
        format!("{}/clip/{}?{query}", self.base, CLIPS[number % CLIPS.len()].0)
    }

    /// One that takes [`SLOW`] to come, and nobody says how long it is.
    pub(crate) fn slow_clip(&self) -> String {
        format!("{}/slow/two", self.base)
    }
}

async fn clip(State(clips): State<Clips>, Segment(name): Segment<String>) -> Response {
    match clips.get(&name) {
        Some(bytes) => bytes.clone().into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn slow(State(clips): State<Clips>, Segment(name): Segment<String>) -> Response {
    let Some(bytes) = clips.get(&name).cloned() else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let size = bytes.len().div_ceil(PIECES as usize);
    let pieces: Vec<Bytes> = bytes.chunks(size).map(Bytes::copy_from_slice).collect();
    let ticks = interval(SLOW / PIECES);
    let paced =
        futures::stream::unfold((pieces.into_iter(), ticks), async |(mut pieces, mut ticks)| {
            ticks.tick().await;
            let piece = pieces.next()?;
            Some((Ok::<_, std::io::Error>(piece), (pieces, ticks)))
        });
    Body::from_stream(paced).into_response()
}

async fn make(folder: &Path, name: &str, picture: &str, sound: &str) -> Bytes {
    let path = folder.join(format!("{name}.mp4"));
    let arguments = [
        "-v",
        "error",
        "-nostdin",
        "-f",
        "lavfi",
        "-i",
        picture,
        "-f",
        "lavfi",
        "-i",
        sound,
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-crf",
        "30",
        "-g",
        "25",
        "-pix_fmt",
        "yuv420p",
        "-c:a",
        "aac",
        "-shortest",
        "-y",
    ];
    let arguments = arguments.iter().map(|text| (*text).to_owned());
    run(Path::new("ffmpeg"), arguments.chain([path.display().to_string()])).await;
    std::fs::read(path).expect("the clip").into()
}
