//! What a file says beside its pictures and its sound stays with whoever sent it: where and when it
//! was made, with what, by whom. Marks are planted wherever a container or a codec has room for
//! words, and looked for in every byte of every kind of output.

use std::path::{Path, PathBuf};

use reelway::task::Kind::{self, AdaptiveVideo, Animation, Audio, Image, Video};
use serde_json::{Value, json};

use crate::harness::{Bench, Clip, H264, clip, heic, kept, media, run, tones};

/// Stands for everything that is private.
const MARK: &str = "PLANTED";

/// What a player or ffmpeg itself says of any file, and nobody in particular.
const PLAIN_TAGS: [&str; 9] = [
    "major_brand",
    "minor_version",
    "compatible_brands",
    "encoder",
    "handler_name",
    "vendor_id",
    "language",
    "duration",
    "variant_bitrate",
];

/// What films become.
fn of_films() -> Vec<(Kind, Value)> {
    vec![
        (Video, json!({})),
        (Video, json!({"format": "mov"})),
        (Video, json!({"format": "webm"})),
        (Video, json!({"codec": "h265"})),
        (Video, json!({"mute": true, "fps": 10})),
        (Animation, json!({"end": 1})),
        (Animation, json!({"end": 1, "format": "webp"})),
        (Image, json!({"format": "jpeg"})),
        (Image, json!({"format": "png"})),
        (Image, json!({"format": "webp"})),
        (Image, json!({"format": "avif"})),
        (Image, json!({"interval": 0.2})),
        (Image, json!({"interval": 0.2, "sprite": {"columns": 2, "rows": 2}})),
        (AdaptiveVideo, json!({})),
        (AdaptiveVideo, json!({"segment_type": "ts"})),
        (AdaptiveVideo, json!({"format": "dash"})),
    ]
}

/// What sounds become.
fn of_sounds() -> Vec<(Kind, Value)> {
    let formats = ["mp3", "aac", "ogg", "opus", "wav", "flac"];
    let made = formats.map(|format| (Audio, json!({ "format": format })));
    made.into_iter().chain([(Audio, json!({"waveform": "json"}))]).collect()
}

/// What pictures become.
fn of_pictures() -> Vec<(Kind, Value)> {
    let formats = ["jpeg", "png", "webp", "avif"];
    let made = formats.map(|format| (Image, json!({ "format": format })));
    made.into_iter().chain([(Image, json!({ "width": 20 }))]).collect()
}

/// The mark, as the ends of the wire write letters.
fn dresses(mark: &str) -> Vec<Vec<u8>> {
    let wide: Vec<u16> = mark.encode_utf16().collect();
    vec![
        mark.as_bytes().to_vec(),
        wide.iter().flat_map(|unit| unit.to_le_bytes()).collect(),
        wide.iter().flat_map(|unit| unit.to_be_bytes()).collect(),
    ]
}

fn holds(bytes: &[u8], mark: &str) -> bool {
    dresses(mark).iter().any(|dress| bytes.windows(dress.len()).any(|at| at == dress.as_slice()))
}

/// Everything that is made of an input holds none of these marks and no tag of its own.
async fn nothing_leaks(
    bench: &Bench,
    input: &Path,
    marks: &[&str],
    outputs: Vec<(Kind, Value)>,
) -> usize {
    let sent = std::fs::read(input).expect("the input");
    for mark in marks {
        assert!(holds(&sent, mark), "{mark} is not in {}", input.display());
    }
    let mut looked_at = 0;
    for (kind, options) in outputs {
        let what = format!("{} {options} of {}", kind.name(), input.display());
        for made in bench.make_all(kind, &options, input).await {
            for file in files(&made.path) {
                let bytes = std::fs::read(&file).expect("an output");
                for mark in marks {
                    assert!(!holds(&bytes, mark), "{what}: {mark} is in {}", file.display());
                }
                strange_tags(&file, &what);
                looked_at += 1;
            }
        }
    }
    looked_at
}

/// The file, or those in the folder.
fn files(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let entries = std::fs::read_dir(path).expect("an output");
    entries.flat_map(|entry| files(&entry.expect("an entry").path())).collect()
}

/// Refuses tags that say more than how the file was made.
fn strange_tags(file: &Path, what: &str) {
    let ending = file.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    if ["json", "vtt", "m3u8", "mpd", "m4s", "key"].contains(&ending) {
        return;
    }
    let path = file.to_str().expect("UTF-8");
    let entries = "format_tags:stream_tags:chapter_tags:format=nb_streams";
    let arguments =
        ["-v", "error", "-show_chapters", "-show_entries", entries, "-of", "flat", path];
    let said = String::from_utf8(run("ffprobe", &arguments)).expect("text");
    for line in said.lines().filter(|line| line.contains(".tags.")) {
        let (key, value) = line.split_once(".tags.").expect("a tag").1.split_once('=').expect("=");
        let key = key.to_ascii_lowercase();
        assert!(PLAIN_TAGS.contains(&key.as_str()), "{what}: {line} in {}", file.display());
        if key == "handler_name" {
            let plain = ["VideoHandler", "SoundHandler", "DataHandler"];
            assert!(plain.iter().any(|plain| value.contains(plain)), "{what}: {line}");
        }
    }
    assert!(!said.contains("chapters.chapter"), "{what}: {said}");
}

/// Tags for the whole file and for each of its streams, as far as a container has room for them.
fn tags() -> Vec<String> {
    let mut tags = Vec::new();
    for (place, names) in [
        (
            "-metadata",
            &[
                "title",
                "artist",
                "comment",
                "description",
                "make",
                "model",
                "location",
                "location-eng",
                "copyright",
                "com.apple.quicktime.location.ISO6709",
                "keywords",
                "com.apple.quicktime.make",
                "synopsis",
                "lyrics",
                "xmp",
            ][..],
        ),
        ("-metadata:s:v", &["title", "handler_name", "comment", "location"]),
        ("-metadata:s:a", &["title", "handler_name", "comment", "artist"]),
    ] {
        for name in names {
            tags.extend([place.to_owned(), format!("{name}={MARK} {name}")]);
        }
    }
    tags.extend(["-metadata".to_owned(), "creation_time=2001-02-03T04:05:06Z".to_owned()]);
    tags
}

/// A copy of `source` with marks in its tags, its chapters and, if it is given, its cover.
fn marked(source: &Path, name: &str, cover: Option<&Path>, more: &[&str]) -> PathBuf {
    let tags = tags();
    let recipe = [tags.join(" "), more.join(" "), cover.is_some().to_string()];
    let recipe: Vec<&str> = recipe.iter().map(String::as_str).collect();
    kept(name, &recipe, |path| {
        let folder = tempfile::tempdir().expect("a folder");
        let chapters = folder.path().join("chapters");
        let words = format!(
            ";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1\nSTART=0\nEND=1\ntitle={MARK} chapter\n"
        );
        std::fs::write(&chapters, words).expect("chapters");
        let text = |path: &Path| path.to_str().expect("UTF-8").to_owned();
        let mut arguments: Vec<String> = ["-v", "error", "-y", "-i"].map(str::to_owned).into();
        arguments.extend([text(source), "-i".to_owned(), text(&chapters)]);
        if let Some(cover) = cover {
            arguments.extend(["-i".to_owned(), text(cover)]);
        }
        let maps = "-map 0 -map_metadata 0 -map_chapters 1 -c copy";
        arguments.extend(maps.split(' ').map(str::to_owned));
        if cover.is_some() {
            let cover = "-map 2 -disposition:v:0 attached_pic";
            arguments.extend(cover.split(' ').map(str::to_owned));
        }
        arguments.extend(tags.iter().cloned());
        arguments.extend(more.iter().map(|&more| more.to_owned()));
        arguments.push(text(path));
        run("ffmpeg", &arguments);
    })
}

/// A file whose bytes are another's, changed.
fn changed(source: &Path, name: &str, change: fn(Vec<u8>) -> Vec<u8>) -> PathBuf {
    let bytes = change(std::fs::read(source).expect("a picture"));
    let hash = format!("{:08x}", crc32fast::hash(&bytes));
    kept(name, &[&hash], |path| std::fs::write(path, &bytes).expect("written"))
}

/// Marks in a JPEG: EXIF with a place, XMP, IPTC and a comment.
fn mark_jpeg(mut bytes: Vec<u8>) -> Vec<u8> {
    let segment = |marker: u8, words: Vec<u8>| {
        let length = u16::try_from(words.len() + 2).expect("a short segment").to_be_bytes();
        [&[0xff, marker][..], &length, &words].concat()
    };
    let xmp = format!("http://ns.adobe.com/xap/1.0/\0<x:xmpmeta>{MARK} xmp</x:xmpmeta>");
    let iptc = format!("Photoshop 3.0\08BIM{MARK} iptc");
    let segments = [
        segment(0xe1, [b"Exif\0\0", exif().as_slice()].concat()),
        segment(0xe1, xmp.into_bytes()),
        segment(0xed, iptc.into_bytes()),
        segment(0xfe, format!("{MARK} comment").into_bytes()),
    ];
    bytes.splice(2..2, segments.concat());
    bytes
}

/// A TIFF header with one field, the make of the camera.
fn exif() -> Vec<u8> {
    let make = format!("{MARK} make\0");
    let mut bytes = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x0f\0\x02".to_vec();
    bytes.extend((make.len() as u32).to_be_bytes());
    bytes.extend(26_u32.to_be_bytes());
    bytes.extend(0_u32.to_be_bytes());
    bytes.extend(make.as_bytes());
    bytes
}

/// Marks in a PNG: words, EXIF and XMP, each in a chunk of its own after the header.
fn mark_png(mut bytes: Vec<u8>) -> Vec<u8> {
    let chunk = |name: &[u8; 4], data: Vec<u8>| {
        let named = [name.as_slice(), &data].concat();
        let sum = crc32fast::hash(&named).to_be_bytes();
        [(data.len() as u32).to_be_bytes().as_slice(), &named, &sum].concat()
    };
    let xmp = format!("XML:com.adobe.xmp\0\0\0\0\0<x:xmpmeta>{MARK} xmp</x:xmpmeta>");
    let chunks = [
        chunk(b"tEXt", format!("Author\0{MARK} text").into_bytes()),
        chunk(b"iTXt", xmp.into_bytes()),
        chunk(b"eXIf", exif()),
    ];
    let after_header = 8 + 25;
    bytes.splice(after_header..after_header, chunks.concat());
    bytes
}

/// Marks in a WebP: chunks of EXIF and XMP at its end.
fn mark_webp(mut bytes: Vec<u8>) -> Vec<u8> {
    for (name, mut data) in [(b"EXIF", exif()), (b"XMP ", format!("{MARK} xmp").into_bytes())] {
        if data.len() % 2 == 1 {
            data.push(0);
        }
        bytes.extend(name);
        bytes.extend((data.len() as u32).to_le_bytes());
        bytes.extend(data);
    }
    let size = (bytes.len() as u32 - 8).to_le_bytes();
    bytes.splice(4..8, size);
    bytes
}

/// Marks in a GIF: a comment after the global colours.
fn mark_gif(mut bytes: Vec<u8>) -> Vec<u8> {
    let colors = if bytes[10] & 0x80 == 0 { 0 } else { 3 << ((bytes[10] & 7) + 1) };
    let words = format!("{MARK} comment");
    let comment = [&[0x21, 0xfe, words.len() as u8][..], words.as_bytes(), &[0]].concat();
    bytes.splice(13 + colors..13 + colors, comment);
    bytes
}

const PICTURE: &str = "testsrc2=s=64x48:r=10:d=1";

/// A picture of this name, without marks.
fn picture(name: &str) -> PathBuf {
    clip(&Clip { name, sources: &[PICTURE], coded: "-frames:v 1" })
}

#[tokio::test]
async fn nothing_that_a_film_says_beside_its_pictures_and_sound_is_in_any_output() {
    let bench = Bench::open().await;
    let sound = tones("stereo", 48_000, 1);
    let plain = clip(&Clip { name: "plain.mp4", sources: &[PICTURE, &sound], coded: H264 });
    let mut looked_at = 0;
    for (name, more) in [
        ("marked.mp4", &["-movflags", "use_metadata_tags"][..]),
        ("marked.mov", &[]),
        ("marked.mkv", &[]),
        ("marked.avi", &[]),
        ("marked.ts", &["-metadata", "service_name=PLANTED service"]),
    ] {
        let film = marked(&plain, name, None, more);
        let all = of_films().into_iter().chain(of_sounds());
        // Room for words of all sorts is in these two; of the others some kinds must do.
        let is_roomy = ["marked.mov", "marked.mkv"].contains(&name);
        let outputs = all.step_by(if is_roomy { 1 } else { 4 }).collect();
        looked_at += nothing_leaks(&bench, &film, &[MARK], outputs).await;
    }
    assert!(looked_at > 100, "{looked_at} files");
}

#[tokio::test]
async fn nothing_that_a_sound_says_and_no_cover_is_in_any_output() {
    let bench = Bench::open().await;
    let plain = clip(&Clip {
        name: "plain.wav",
        sources: &[&tones("stereo", 48_000, 1)],
        coded: "-c:a pcm_s16le",
    });
    let cover = changed(&picture("cover.png"), "cover-marked.png", mark_png);
    for (name, cover, coded) in [
        ("marked.mp3", Some(&*cover), &["-c:a", "libmp3lame", "-id3v2_version", "3"][..]),
        ("marked.flac", Some(&*cover), &["-c:a", "flac"]),
        ("marked.m4a", Some(&*cover), &["-c:a", "aac"]),
        ("marked.ogg", None, &["-c:a", "libvorbis"]),
        ("marked.wav", None, &["-c:a", "pcm_s16le", "-write_bext", "1", "-rf64", "auto"]),
    ] {
        let sound = marked(&plain, name, cover, coded);
        nothing_leaks(&bench, &sound, &[MARK], of_sounds()).await;
        if cover.is_some() {
            nothing_leaks(&bench, &sound, &[MARK], of_pictures()).await;
        }
    }
}

#[tokio::test]
async fn nothing_that_a_picture_says_is_in_any_output() {
    let bench = Bench::open().await;
    let pictures = [
        changed(&picture("plain.jpg"), "marked.jpg", mark_jpeg),
        changed(&picture("plain.png"), "marked.png", mark_png),
        changed(&picture("plain.webp"), "marked.webp", mark_webp),
    ];
    for picture in &pictures {
        nothing_leaks(&bench, picture, &[MARK], of_pictures()).await;
    }
    let gif = clip(&Clip { name: "plain.gif", sources: &[PICTURE], coded: "-loop 0" });
    let gif = changed(&gif, "marked.gif", mark_gif);
    let moving = [(Animation, json!({"end": 1})), (Video, json!({}))];
    nothing_leaks(&bench, &gif, &[MARK], of_pictures().into_iter().chain(moving).collect()).await;
    if let Some(heic) = heic("plain.heic", &picture("for-heic.png")) {
        // Behind the picture, where a parser that looks for it would find it.
        let heic = changed(&heic, "marked.heic", |bytes| {
            let words = format!("{MARK} free");
            let size = (words.len() as u32 + 8).to_be_bytes();
            [bytes, [size.as_slice(), b"free", words.as_bytes()].concat()].concat()
        });
        nothing_leaks(&bench, &heic, &[MARK], of_pictures()).await;
    }
}

#[tokio::test]
async fn nothing_of_a_phone_is_in_what_is_made_of_its_film_and_its_photograph() {
    let Some(files) = media() else { return };
    let bench = Bench::open().await;
    let find = |name: &str| files.iter().find(|path| path.ends_with(name)).expect("a fixture");
    let film = find("phone-portrait.mov");
    let marks = ["iPhone X", "com.apple.quicktime", "ISO6709", "Core Media"];
    let outputs = of_films().into_iter().chain(of_sounds()).collect();
    assert!(nothing_leaks(&bench, film, &marks, outputs).await > 40);
    let photograph = find("fixture-heic.heic");
    let marks = ["iPhone 7 Plus", "Apple iOS", "2017:06:06", "dual camera"];
    nothing_leaks(&bench, photograph, &marks, of_pictures()).await;
}
