//! `kind: "audio"`: the sound alone.

use ffmpeg::{Audio, AudioEncoder, AudioStream, Bounds, Conversion, Muxer, Output, Source};

use super::picture::input;
use super::span::Span;
use super::{FileType, Given, Plan, Step, gate, quality};
use crate::job::FileKind;
use crate::job::options::{AudioBitrate, AudioFormat, AudioOptions, Seconds};
use crate::task::{ErrorKind, Failure};

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
    let Some(audio) = gate::sound(given.facts)? else {
        return Err(Failure::new(ErrorKind::InputNoAudio, "the input has no sound"));
    };
    let (start, end) = (options.start.unwrap_or_default(), options.end.map(Seconds::get));
    let span = Span::new(start.get(), end, given.facts.duration, given.settings)?;
    let (file, muxer) = container(options.format);
    let conversion = Conversion {
        threads: given.settings.threads,
        inputs: vec![input(given, span.seek, span.read_secs)],
        graph: None,
        output: Output {
            path: file.path(given),
            muxer,
            video: None,
            audio: Some(sound(options, audio)),
            bounds: Bounds {
                frames: 0,
                secs: span.bound_secs,
                bytes: given.settings.max_output_bytes,
            },
        },
        expected_secs: span.expected_secs,
    };
    let step = Step::run(conversion.command(), 1.0);
    Ok(file.plan(given, vec![step], None).capped(span.is_capped))
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

fn sound(options: &AudioOptions, audio: &AudioStream) -> Audio {
    let lossless = options.format.is_lossless();
    let channels = if lossless { audio.channels } else { audio.channels.clamp(1, MAX_CHANNELS) };
    let sample_rate = match options.format {
        AudioFormat::Wav | AudioFormat::Flac => None,
        AudioFormat::Opus => Some(MAX_SAMPLE_RATE),
        AudioFormat::Mp3 | AudioFormat::Aac | AudioFormat::Ogg => {
            (audio.sample_rate > MAX_SAMPLE_RATE).then_some(MAX_SAMPLE_RATE)
        }
    };
    Audio {
        source: Source { input: 0, stream: audio.index },
        encoder: encoder(options, audio, channels),
        channels: (channels != audio.channels).then_some(channels),
        sample_rate,
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
