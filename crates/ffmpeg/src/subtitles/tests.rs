use proptest::prelude::*;

use super::*;
use crate::filter::Rgb;

const LOOK: Look = Look {
    width: 640,
    height: 360,
    color: Rgb { red: 255, green: 255, blue: 255 },
    start_secs: 0.0,
};

/// What is shown: the part of the script's lines behind the style's name, with their times.
fn shown(text: &str) -> Vec<String> {
    events(&Subtitles::parse(text.as_bytes()).expect(text).to_ass(&LOOK))
}

fn events(script: &str) -> Vec<String> {
    let events = script.lines().filter_map(|line| line.strip_prefix("Dialogue: 0,"));
    events.map(|event| event.replacen(",Default,", " ", 1)).collect()
}

fn refused(text: &str) -> SubtitleError {
    Subtitles::parse(text.as_bytes()).expect_err(text)
}

#[test]
fn subrip_is_read_as_careless_programs_write_it() {
    let text = "\u{feff}1\r\n00:00:01,000 --> 00:00:02,500\r\n- Hello,\r\n- <i>world</i>.\r\n\r\n\
                2\r\n00:00:03.000 --> 00:00:04,0 X1:1\r\nblank line\r\n\r\nwithin\r\n\
                3\r\n00:00:05,000 --> 00:00:06,000\r\nno blank line before\r\n";
    assert_eq!(
        shown(text),
        [
            "0:00:01.00,0:00:02.50 - Hello,\\N- {\\i1}world{\\i0}.",
            "0:00:03.00,0:00:04.00 blank line\\Nwithin",
            "0:00:05.00,0:00:06.00 no blank line before",
        ]
    );
}

#[test]
fn webvtt_is_read_without_its_comments_styles_and_names() {
    let text = "WEBVTT - a title\nKind: captions\n\nSTYLE\n::cue { color: red }\n\n\
                NOTE nobody\nsees this\n\nintro\n00:01.000 --> 00:02.000 line:0\n\
                <v Ann>Tom &amp; <b>J&lt;</b>&#x4d;\n\nNOTE\nnor this\n\n\
                01:00:03.000 --> 01:00:04.000\n<c.loud>loud <00:03.500>now</c>\n";
    assert_eq!(
        shown(text),
        ["0:00:01.00,0:00:02.00 {\\an8}Tom & {\\b1}J<{\\b0}M", "1:00:03.00,1:00:04.00 loud now",]
    );
}

#[test]
fn overrides_fonts_and_drawings_are_left_behind() {
    let cue = |text: &str| shown(&format!("1\n00:00:01,000 --> 00:00:02,000\n{text}\n")).remove(0);
    for (text, wanted) in [
        (r"{\an8}top", r"{\an8}top"),
        (r"{\fn/etc/passwd\fs999\p1}m 0 0 l 9 9{\p0}", "m 0 0 l 9 9"),
        (r"a{\unclosed", "a"),
        (r"a{b}c", r"a\{b\}c"),
        (r"C:\New\{\i1\}", "C:\\\u{2060}New\\\u{2060}"),
        ("<font face='../../x' color=#f00>red</font>", "red"),
        ("1 < 2 > 0 <3", "1 < 2 > 0 <3"),
        ("tab\tand\u{7}bell", "tab andbell"),
    ] {
        let found = cue(text);
        assert_eq!(found.strip_prefix("0:00:01.00,0:00:02.00 "), Some(wanted), "{text}");
    }
}

#[test]
fn what_is_no_subtitle_file_is_told() {
    let cases = [
        ("#EXTM3U\n#EXTINF:2,\nfile:///etc/passwd\n", SubtitleError::Unknown),
        ("<?xml version='1.0'?><tt>a --> b</tt>", SubtitleError::Unknown),
        ("just a text", SubtitleError::Unknown),
        ("a\0b --> c", SubtitleError::Unknown),
        ("", SubtitleError::Unknown),
        ("[Script Info]\nScriptType: v4.00+\n", SubtitleError::SubStation),
        ("WEBVTT\n", SubtitleError::Empty),
        ("1\n00:00:02,000 --> 00:00:01,000\nbackwards\n", SubtitleError::Empty),
        ("1\n00:00:01,000 --> soon\nlate\n", SubtitleError::Time { line: 2 }),
        ("WEBVTT\n\n00:01.000 --> 99:99.000\nlate\n", SubtitleError::Time { line: 3 }),
    ];
    for (text, wanted) in cases {
        assert_eq!(refused(text), wanted, "{text}");
    }
    assert_eq!(Subtitles::parse(&[0x80, 0xff, 0x31]), Err(SubtitleError::NotUtf8));
    assert_eq!(Subtitles::parse(&vec![b' '; MAX_BYTES + 1]), Err(SubtitleError::TooLarge));
}

#[test]
fn utf_16_is_read_when_it_says_so() {
    let text = "1\n00:00:01,000 --> 00:00:02,000\nGrün\n";
    let units: Vec<u16> = text.encode_utf16().collect();
    let little = units.iter().flat_map(|unit| unit.to_le_bytes());
    let big = units.iter().flat_map(|unit| unit.to_be_bytes());
    let little: Vec<u8> = [0xff, 0xfe].into_iter().chain(little).collect();
    let big: Vec<u8> = [0xfe, 0xff].into_iter().chain(big).collect();
    let wanted = Subtitles::parse(text.as_bytes());
    assert!(wanted.is_ok());
    assert_eq!(Subtitles::parse(&little), wanted);
    assert_eq!(Subtitles::parse(&big), wanted);
}

#[test]
fn what_would_cost_too_much_is_refused() {
    let cue = |start: usize, text: &str| {
        format!("{:02}:{:02}.000 --> 59:59.000\n{text}\n\n", start / 60, start % 60)
    };
    let many: String = (0..=MAX_AT_ONCE).map(|start| cue(start, "x")).collect();
    assert_eq!(refused(&format!("WEBVTT\n\n{many}")), SubtitleError::TooManyAtOnce);
    let long = cue(0, &"x".repeat(MAX_CUE_CHARS + 1));
    assert_eq!(refused(&format!("WEBVTT\n\n{long}")), SubtitleError::TooLong { line: 3 });
    let short = "00:00.000 --> 00:00.001\nx\n\n".repeat(MAX_CUES + 1);
    assert_eq!(refused(&format!("WEBVTT\n\n{short}")), SubtitleError::TooManyCues);
}

#[test]
fn a_picture_that_begins_later_shows_what_is_left() {
    let text = "WEBVTT\n\n00:01.000 --> 00:02.000\ngone\n\n00:02.000 --> 00:04.000\nhalf\n\n\
                00:05.000 --> 00:06.000\nwhole\n";
    let subtitles = Subtitles::parse(text.as_bytes()).expect("subtitles");
    let script = subtitles.to_ass(&Look { start_secs: 3.0, ..LOOK });
    assert_eq!(events(&script), ["0:00:00.00,0:00:01.00 half", "0:00:02.00,0:00:03.00 whole"]);
}

/// Every override that may stand in a script; whatever else has a brace is an escaped one.
const OURS: [&str; 7] = ["{\\an8}", "{\\i1}", "{\\i0}", "{\\b1}", "{\\b0}", "{\\u1}", "{\\u0}"];

fn is_harmless(event: &str) -> bool {
    let mut rest = event;
    while let Some(c) = rest.chars().next() {
        let ours = OURS.iter().find(|ours| rest.starts_with(**ours)).map(|ours| ours.len());
        let escaped = ["\\N", "\\{", "\\}", "\\\u{2060}"];
        let escaped = escaped.iter().find(|it| rest.starts_with(**it)).map(|it| it.len());
        match ours.or(escaped) {
            Some(length) => rest = &rest[length..],
            None if "{}\\".contains(c) || c.is_control() => return false,
            None => rest = &rest[c.len_utf8()..],
        }
    }
    true
}

proptest! {
    #[test]
    fn no_text_makes_an_override_a_line_or_a_section_of_its_own(
        body in "([{}\\\\<>&;/\n\r\\[\\]:,]|\\\\N|\\{\\\\i1|fn|b|i|an8|Dialogue: |[Fonts]|\\PC|[\\x00-\\x1f]){0,60}",
        is_vtt in any::<bool>(),
    ) {
        let head = if is_vtt { "WEBVTT\n\n" } else { "1\n" };
        let text = format!("{head}00:00:01.000 --> 00:00:02.000\nx{body}");
        if let Ok(subtitles) = Subtitles::parse(text.as_bytes()) {
            let script = subtitles.to_ass(&LOOK);
            let (_, events) = script.split_once("Text\n").expect("events");
            for line in events.lines() {
                let event = line.strip_prefix("Dialogue: 0,");
                prop_assert!(event.is_some_and(is_harmless), "{:?}", line);
            }
            prop_assert_eq!(events.lines().count(), subtitles.cues.len());
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in any::<Vec<u8>>(), head in 0..3) {
        let head = [&b""[..], b"WEBVTT\n\n", b"1\n00:00:01,000 --> 00:00:02,000\n"][head as usize];
        if let Ok(subtitles) = Subtitles::parse(&[head, &bytes].concat()) {
            prop_assert!(subtitles.cues.iter().all(|cue| cue.start_ms < cue.end_ms));
        }
    }

    #[test]
    fn a_cue_is_shown_when_it_says(start in 0_u64..10_000_000, length in 10_u64..10_000) {
        let clock = |ms: u64| format!("{}:{:02}:{:02},{:03}", ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000);
        let text = format!("1\n{} --> {}\nx\n", clock(start), clock(start + length));
        let subtitles = Subtitles::parse(text.as_bytes()).expect("subtitles");
        prop_assert_eq!((subtitles.cues[0].start_ms, subtitles.cues[0].end_ms), (start, start + length));
    }
}
