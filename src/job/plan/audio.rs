//! `kind: "audio"`: the sound alone.

use ffmpeg::{Audio, AudioEncoder, AudioStream, Bounds, Conversion, Muxer, Output, Sound, Source};

use super::picture::input;
use super::span::Span;
use super::{FactsFrom, FileType, Given, Memory, Plan, Planned, Step, Work, gate, quality};
use crate::job::FileKind;
use crate::job::options::{AudioBitrate, AudioFormat, AudioOptions, Seconds};
use crate::task::{ErrorKind, Failure};

const WAVEFORM: FileType =
    FileType::new(FileKind::Text, "json", "application/json", "waveform.json");

/// More channels than these are mixed down in formats made for listening.
const MAX_CHANNELS: u32 = 2;

/// The highest sample rate of formats made for listening.
const MAX_SAMPLE_RATE: u32 = 48_000;

/// What Vorbis can be held to, in bits a second and channel, up to each sample rate: libvorbis
/// refuses the rest.
const VORBIS_BITS: [(u32, u32, u32); 5] = [
    (9_000, 8_000, 32_000),
    (15_000, 12_000, 44_000),
    (26_000, 16_000, 86_000),
    (40_000, 30_000, 160_000),
    (u32::MAX, 32_000, 160_000),
];

/// The most that Opus takes, in bits a second and channel.
const OPUS_BITS: u32 = 256_000;

pub(super) fn plan(options: &AudioOptions, given: Given<'_>) -> Result<Plan, Failure> {
    let audio = heard(given)?;
    let span = span(options, given)?;
    let (file, muxer) = container(options.format);
    let conversion = Conversion {
        threads: given.settings.threads,
        inputs: vec![input(given, span.seek, span.read_secs)],
        graph: None,
        output: Output {
            path: file.path(given),
            muxer,
            video: None,
            audio: Some(sound(options, audio, given)),
            bounds: Bounds {
                frames: 0,
                secs: span.bound_secs,
                bytes: given.settings.max_output_bytes,
            },
        },
        expected_secs: span.expected_secs,
    };
    let mut plan = file.plan(given, vec![Step::run(conversion.command(), 1.0)], None);
    if options.waveform.is_some() {
        let points = options.waveform_points.unwrap_or_default().get();
        let (sound, name) = (file.file_name, WAVEFORM.file_name);
        plan.steps.push(Step::quick(Work::Shape { sound, name, points }));
        plan.outputs.push(Planned::file(WAVEFORM, name.to_owned(), FactsFrom::Nobody));
    }
    Ok(plan.capped(span.is_capped).taking(Memory::hearing()))
}

/// What is to be measured before the plan, and the loudness that is asked for.
pub(super) fn to_level(
    options: &AudioOptions,
    given: Given<'_>,
) -> Result<Option<(Sound, f64)>, Failure> {
    let Some(target_lufs) = options.target_lufs() else { return Ok(None) };
    let (audio, span) = (heard(given)?, span(options, given)?);
    let channels = channels(options, audio);
    let sound = Sound {
        input: input(given, span.seek, span.read_secs),
        stream: audio.index,
        channels: mixed(channels, audio),
        is_surround: channels > MAX_CHANNELS,
        gain: None,
        bound_secs: span.bound_secs,
    };
    Ok(Some((sound, target_lufs)))
}

fn heard(given: Given<'_>) -> Result<&AudioStream, Failure> {
    gate::sound(given.facts)?.ok_or_else(|| {
        Failure::new(ErrorKind::InputNoAudio, "the input has no sound")
            .hint(ErrorKind::InputNoAudio.advice())
    })
}

fn span(options: &AudioOptions, given: Given<'_>) -> Result<Span, Failure> {
    let (start, end) = (options.start.unwrap_or_default(), options.end.map(Seconds::get));
    Span::new(start.get(), end, given.facts.duration, given.settings)
}

const fn container(format: AudioFormat) -> (FileType, Muxer) {
    let (format, content_type, file_name, muxer) = match format {
        AudioFormat::Mp3 => ("mp3", "audio/mpeg", "audio.mp3", Muxer::Mp3),
        AudioFormat::Aac => ("aac", "audio/mp4", "audio.m4a", Muxer::M4a),
        AudioFormat::Ogg => ("ogg", "audio/ogg", "audio.ogg", Muxer::Ogg),
        AudioFormat::Opus => ("opus", "audio/ogg", "audio.opus", Muxer::Opus),
        AudioFormat::Wav => ("wav", "audio/wav", "audio.wav", Muxer::Wav),
        AudioFormat::Flac => ("flac", "audio/flac", "audio.flac", Muxer::Flac),
    };
    (FileType::new(FileKind::Audio, format, content_type, file_name), muxer)
}

fn channels(options: &AudioOptions, audio: &AudioStream) -> u32 {
    let lossless = options.format.is_lossless();
    if lossless { audio.channels } else { audio.channels.clamp(1, MAX_CHANNELS) }
}

/// How many channels the source is mixed to, if not to its own.
fn mixed(channels: u32, audio: &AudioStream) -> Option<u32> {
    (channels != audio.channels).then_some(channels)
}

fn sound(options: &AudioOptions, audio: &AudioStream, given: Given<'_>) -> Audio {
    let (channels, gain) = (channels(options, audio), given.known.gain);
    let sample_rate = match options.format {
        // A limiter works at another rate.
        AudioFormat::Wav | AudioFormat::Flac => gain.map(|_| audio.sample_rate),
        AudioFormat::Opus => Some(MAX_SAMPLE_RATE),
        AudioFormat::Mp3 | AudioFormat::Aac | AudioFormat::Ogg => {
            let too_high = audio.sample_rate > MAX_SAMPLE_RATE;
            (too_high || gain.is_some()).then_some(audio.sample_rate.min(MAX_SAMPLE_RATE))
        }
    };
    Audio {
        source: Source { input: 0, stream: audio.index },
        encoder: encoder(options, audio, channels),
        channels: mixed(channels, audio),
        sample_rate,
        gain,
    }
}

fn encoder(options: &AudioOptions, audio: &AudioStream, channels: u32) -> AudioEncoder {
    let level = options.quality;
    match (options.format, options.bitrate.map(AudioBitrate::get)) {
        (AudioFormat::Mp3, Some(bits)) => AudioEncoder::Mp3(bits),
        (AudioFormat::Mp3, None) => quality::mp3(level),
        (AudioFormat::Aac, Some(bits)) => AudioEncoder::Aac(bits),
        (AudioFormat::Aac, None) => quality::aac(level, channels),
        (AudioFormat::Ogg, Some(bits)) => {
            AudioEncoder::Vorbis(vorbis_bits(bits, audio.sample_rate, channels))
        }
        (AudioFormat::Ogg, None) => quality::vorbis(level),
        (AudioFormat::Opus, Some(bits)) => AudioEncoder::Opus(bits.min(OPUS_BITS * channels)),
        (AudioFormat::Opus, None) => quality::opus(level, channels),
        (AudioFormat::Wav, _) => AudioEncoder::Pcm16,
        (AudioFormat::Flac, _) => AudioEncoder::Flac,
    }
}

/// The nearest to `bits` that libvorbis takes.
fn vorbis_bits(bits: u32, sample_rate: u32, channels: u32) -> u32 {
    let row = VORBIS_BITS.iter().find(|(rate, ..)| sample_rate < *rate);
    let (_, least, most) = row.unwrap_or(&VORBIS_BITS[VORBIS_BITS.len() - 1]);
    bits.clamp(least * channels, most * channels)
}
