//! What ffprobe sees in a file that was made, apart from the product's own reading.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::process::run;

/// A file as ffprobe tells it.
pub(crate) struct Seen {
    path: PathBuf,
    report: Value,
    head: Vec<u8>,
}

/// Tags that containers write about themselves.
const OWN_TAGS: [&str; 5] =
    ["major_brand", "minor_version", "compatible_brands", "encoder", "duration"];

impl Seen {
    pub(crate) fn of(path: &Path) -> Self {
        let name = path.to_str().expect("a path in UTF-8");
        let arguments =
            ["-v", "error", "-show_streams", "-show_format", "-show_chapters", "-of", "json", name];
        let report = serde_json::from_slice(&run("ffprobe", &arguments)).expect("JSON");
        let head = std::fs::read(path).expect("the file that was made");
        Self { path: path.to_owned(), report, head }
    }

    pub(crate) fn stream(&self, kind: &str) -> Option<&Value> {
        self.streams().iter().find(|stream| stream["codec_type"] == kind)
    }

    pub(crate) fn video(&self) -> &Value {
        self.stream("video").expect("a picture")
    }

    pub(crate) fn audio(&self) -> &Value {
        self.stream("audio").expect("sound")
    }

    pub(crate) fn secs(&self) -> f64 {
        let text = self.report["format"]["duration"].as_str();
        text.and_then(|secs| secs.parse().ok()).expect("a length")
    }

    /// The demuxer's name.
    pub(crate) fn container(&self) -> String {
        text(&self.report["format"]["format_name"])
    }

    /// How many streams of a kind there are.
    pub(crate) fn count(&self, kind: &str) -> usize {
        self.streams().iter().filter(|stream| stream["codec_type"] == kind).count()
    }

    /// How many pictures there are, counted.
    pub(crate) fn frames(&self) -> u32 {
        self.times().len().try_into().expect("a few pictures")
    }

    /// When each picture is shown, in seconds after the first.
    pub(crate) fn times(&self) -> Vec<f64> {
        let times = self.packet_times("v:0");
        times.iter().map(|secs| secs - times[0]).collect()
    }

    /// How long after the first picture the sound begins, in seconds.
    pub(crate) fn lag(&self) -> f64 {
        self.packet_times("a:0")[0].max(0.0) - self.packet_times("v:0")[0]
    }

    /// The time of the first picture, or of the first sound where there is none.
    pub(crate) fn begins(&self) -> f64 {
        self.packet_times(if self.count("video") > 0 { "v:0" } else { "a:0" })[0]
    }

    fn packet_times(&self, stream: &str) -> Vec<f64> {
        let path = self.path.to_str().expect("a path in UTF-8");
        let arguments = [
            "-v",
            "error",
            "-select_streams",
            stream,
            "-show_entries",
            "packet=pts_time",
            "-of",
            "csv=p=0",
            path,
        ];
        let told = String::from_utf8(run("ffprobe", &arguments)).expect("text");
        let number = |line: &str| line.trim_matches(',').parse().ok();
        let mut times: Vec<f64> = told.lines().filter_map(number).collect();
        times.sort_by(f64::total_cmp);
        times
    }

    fn streams(&self) -> &[Value] {
        self.report["streams"].as_array().map_or(&[], Vec::as_slice)
    }

    /// Tags that are neither the container's own nor empty of meaning.
    pub(crate) fn tags(&self) -> Vec<String> {
        let all = self.streams().iter().map(|stream| &stream["tags"]);
        let all = all.chain([&self.report["format"]["tags"]]).filter_map(Value::as_object);
        let mut tags: Vec<String> = all
            .flatten()
            .filter(|(name, _)| !OWN_TAGS.contains(&name.to_lowercase().as_str()))
            .map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()))
            .filter(|tag| !MEANINGLESS.contains(&tag.as_str()))
            .collect();
        tags.sort();
        tags
    }

    /// Whether a player knows everything before the first picture comes: `None` where the
    /// container has no index.
    pub(crate) fn is_faststart(&self) -> Option<bool> {
        let boxes = boxes(&self.head);
        let place = |name: &[u8; 4]| boxes.iter().position(|found| found == name);
        Some(place(b"moov")? < place(b"mdat")?)
    }

    /// All of it in a line.
    pub(crate) fn line(&self) -> String {
        let mut words = vec![text(&self.report["format"]["format_name"])];
        words.extend(self.streams().iter().map(stream));
        words.extend(
            self.is_faststart().map(|yes| if yes { "faststart" } else { "SLOW" }.to_owned()),
        );
        words.extend(self.tags().into_iter().map(|tag| format!("TAG {tag}")));
        if self.report["chapters"].as_array().is_some_and(|chapters| !chapters.is_empty()) {
            words.push("CHAPTERS".to_owned());
        }
        words.join(" | ")
    }
}

/// What muxers write where there is nothing to say.
const MEANINGLESS: [&str; 6] = [
    "language=und",
    "vendor_id=[0][0][0][0]",
    "vendor_id=FFMP",
    "handler_name=VideoHandler",
    "handler_name=SoundHandler",
    "rating=0",
];

/// The names of the boxes of an MPEG-4 file, outermost only.
fn boxes(bytes: &[u8]) -> Vec<[u8; 4]> {
    let (mut found, mut at) = (Vec::new(), 0_usize);
    while let Some(head) = bytes.get(at..at + 8) {
        let (size, name) = head.split_at(4);
        let size = u32::from_be_bytes(size.try_into().expect("four bytes"));
        found.push(name.try_into().expect("four bytes"));
        match size {
            0 | 2..8 => break,
            1 => match bytes.get(at + 8..at + 16) {
                Some(long) => {
                    at += u64::from_be_bytes(long.try_into().expect("eight bytes")) as usize;
                }
                None => break,
            },
            size => at += size as usize,
        }
    }
    found
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    }
}

fn stream(stream: &Value) -> String {
    let field = |name: &str| text(&stream[name]);
    match stream["codec_type"].as_str() {
        Some("video") => {
            let color = ["color_range", "color_space", "color_transfer", "color_primaries"];
            let turned = stream["side_data_list"].as_array().into_iter().flatten();
            let side: Vec<_> = turned.map(|data| text(&data["side_data_type"])).collect();
            let side = if side.is_empty() { String::new() } else { format!(" SIDE {side:?}") };
            format!(
                "{} {} {}×{} sar {} {} {}{side}",
                field("codec_name"),
                field("codec_tag_string"),
                field("width"),
                field("height"),
                field("sample_aspect_ratio"),
                field("pix_fmt"),
                color.map(field).join("/"),
            )
        }
        Some("audio") => {
            format!("{} {} ch {} Hz", field("codec_name"), field("channels"), field("sample_rate"))
        }
        _ => format!("OTHER {}", field("codec_type")),
    }
}
