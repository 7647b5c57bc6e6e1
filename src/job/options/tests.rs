use serde_json::json;

use super::*;

fn decode(kind: Kind, options: &Value) -> Result<Options, OptionError> {
    Options::decode(kind, options.as_object().expect("an object"))
}

fn refused(kind: Kind, options: &Value) -> (String, String) {
    let error = decode(kind, options).expect_err("must be refused");
    let hint = error.hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
    (error.field, error.message + &hint)
}

#[test]
fn nothing_said_means_the_defaults() {
    assert_eq!(decode(Kind::Video, &json!({})), Ok(Options::Video(VideoOptions::default())));
    let Ok(Options::Video(video)) = decode(Kind::Video, &json!({"format": "webm"})) else {
        panic!("a video")
    };
    assert_eq!(video.codec(), VideoCodec::Vp9);
}

#[test]
fn every_error_names_the_field_the_value_and_what_is_allowed() {
    let cases = [
        (Kind::Video, json!({"widht": 640})),
        (Kind::Video, json!({"width": "wide"})),
        (Kind::Video, json!({"width": 0})),
        (Kind::Video, json!({"width": "150%"})),
        (Kind::Video, json!({"width": -5})),
        (Kind::Video, json!({"quality": "ultra"})),
        (Kind::Video, json!({"quality": 5})),
        (Kind::Video, json!({"format": "webm", "codec": "h264"})),
        (Kind::Video, json!({"fps": 61})),
        (Kind::Video, json!({"bitrate": 1000})),
        (Kind::Video, json!({"bitrate": "2M"})),
        (Kind::Video, json!({"bitrate": -1})),
        (Kind::Video, json!({"start": "00:01:00"})),
        (Kind::Video, json!({"mute": "yes"})),
        (Kind::Video, json!({"background": 5})),
        (Kind::Video, json!({"format": "MP4"})),
        (Kind::Video, json!({"format": "gif"})),
        (Kind::Video, json!({"format": "avi"})),
        (Kind::Video, json!({"quality": "very-high"})),
        (Kind::Image, json!({"format": "mp4"})),
        (Kind::Image, json!({"sprite": "10x5"})),
        (Kind::Image, json!({"sprite": {"columns": "a", "rows": 2}})),
        (Kind::Video, json!({"start": 5, "end": 2})),
        (Kind::Video, json!({"background": "#fff", "width": 100})),
        (Kind::Video, json!({"background": "red"})),
        (Kind::Audio, json!({"format": "wav", "bitrate": 64000})),
        (Kind::Audio, json!({"bitrate": 1})),
        (Kind::Audio, json!({"width": 100})),
        (Kind::Image, json!({"start": -1})),
        (Kind::Image, json!({"format": "bmp"})),
        (Kind::Animation, json!({})),
        (Kind::Animation, json!({"end": 90})),
        (Kind::AdaptiveVideo, json!({"format": "mp4"})),
        (Kind::AdaptiveVideo, json!({"format": "dash", "segment_type": "ts"})),
        (Kind::AdaptiveVideo, json!({"codec": "h265", "segment_type": "ts"})),
        (Kind::AdaptiveVideo, json!({"codec": "av1"})),
        (Kind::AdaptiveVideo, json!({"encryption": {"method": "aes-128"}})),
        (
            Kind::AdaptiveVideo,
            json!({"encryption": {"method": "rot13", "key_url": "https://a.b/k"}}),
        ),
        (
            Kind::AdaptiveVideo,
            json!({"encryption": {"method": "aes-128", "key_url": "ftp://a.b/k"}}),
        ),
        (Kind::AdaptiveVideo, json!({"encryption": {"method": "aes-128", "key_url": "s3://b/k"}})),
        (
            Kind::AdaptiveVideo,
            json!({"encryption": {"metod": "aes-128", "key_url": "https://a.b/k"}}),
        ),
        (
            Kind::AdaptiveVideo,
            json!({"format": "dash", "encryption": {"method": "aes-128", "key_url": "https://a.b/k"}}),
        ),
        (Kind::Probe, json!({"width": 5})),
        (Kind::Import, json!({"width": 5})),
        (Kind::Export, json!({"outputs": "s3://media/a.mp4"})),
        (Kind::Export, json!({"output": "https://media.example.com/a.mp4"})),
        (Kind::Export, json!({"connection_id": "conn_1"})),
    ];
    let lines: Vec<String> = cases
        .iter()
        .map(|(kind, options)| {
            let (field, message) = refused(*kind, options);
            format!("{field}: {message}")
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn a_colour_is_written_long_or_short() {
    for (text, shown) in [("#1e90ff", "0x1e90ff"), ("fff", "0xffffff"), ("#0a0", "0x00aa00")] {
        let color: Color = serde_json::from_value(json!(text)).expect(text);
        assert_eq!(color.to_string(), shown);
    }
}

#[test]
fn a_number_without_a_fraction_is_whole_however_it_is_written() {
    let written =
        json!({"width": 640.0, "height": 3.6e2, "bitrate": 4e6, "start": 1.0, "end": 2.5});
    let meant = json!({"width": 640, "height": 360, "bitrate": 4_000_000, "start": 1, "end": 2.5});
    assert_eq!(decode(Kind::Video, &written), decode(Kind::Video, &meant));
    assert!(decode(Kind::Video, &meant).is_ok());
    for refused in [json!({"width": 640.5}), json!({"width": 1e300}), json!({"bitrate": 4e6 + 0.5})]
    {
        assert!(decode(Kind::Video, &refused).is_err(), "{refused}");
    }
}

#[test]
fn a_length_is_pixels_or_a_share() {
    for (wire, length) in [
        (json!(640), Length::Pixels(640)),
        (json!("640"), Length::Pixels(640)),
        (json!("50%"), Length::Percent(50.0)),
    ] {
        assert_eq!(serde_json::from_value::<Length>(wire).ok(), Some(length));
    }
}

#[test]
fn a_kind_has_the_options_that_it_takes_and_no_others() {
    for (kind, name, has) in [
        (Kind::Video, "width", true),
        (Kind::Video, "format", true),
        (Kind::Animation, "end", true),
        (Kind::Animation, "width", true),
        (Kind::Audio, "width", false),
        (Kind::Probe, "width", false),
        (Kind::Video, "label", false),
    ] {
        assert_eq!(Options::has(kind, name), has, "{name} of {kind:?}");
    }
}
