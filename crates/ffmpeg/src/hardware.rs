//! Video encoders in hardware: what they are called, what they are given, which are there.
//!
//! A build of ffmpeg names encoders whose hardware no machine near it has. What counts is a
//! picture: [`Tools::with_hardware`] has each one encode one, in the same box as every other run,
//! to which the devices of that hardware are added and nothing else. The numbers for a quality are
//! each encoder's own scale.

use std::ffi::OsString;
use std::path::PathBuf;

use tokio_util::sync::CancellationToken;

use crate::args::Arguments;
use crate::codec::{Rate, capped_bits};
use crate::filter::{Filter, Graph, PixelFormat};
use crate::{Scope, Tools};

/// What encodes beside the processors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hardware {
    /// NVIDIA.
    Nvenc,
    /// Intel, by Quick Sync Video.
    Qsv,
    /// Intel and AMD, by VA-API.
    Vaapi,
    /// Apple.
    VideoToolbox,
}

/// What hardware of all four kinds encodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each name says it all")]
pub enum HardwareCodec {
    H264,
    H265,
}

/// An encoder in hardware.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HardwareEncoder {
    /// What does it.
    pub hardware: Hardware,
    /// What comes out.
    pub codec: HardwareCodec,
}

/// The first graphics card; others are told apart by their numbers, and nobody says which is meant.
const RENDER_NODE: &str = "/dev/dri/renderD128";

/// What the drivers of NVIDIA open.
const NVIDIA: &[&str] = &[
    "/dev/nvidia0",
    "/dev/nvidiactl",
    "/dev/nvidia-modeset",
    "/dev/nvidia-uvm",
    "/dev/nvidia-uvm-tools",
];

/// Where drivers look for what a card is.
const ABOUT_CARDS: &[&str] = &[
    "/proc/driver/nvidia",
    "/sys/dev/char",
    "/sys/bus/pci",
    "/sys/class/drm",
    "/usr/share/libdrm",
];

impl Hardware {
    /// All of them, the quickest to start first.
    pub const ALL: [Self; 4] = [Self::Nvenc, Self::Qsv, Self::Vaapi, Self::VideoToolbox];

    /// Its name in ffmpeg.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nvenc => "nvenc",
            Self::Qsv => "qsv",
            Self::Vaapi => "vaapi",
            Self::VideoToolbox => "videotoolbox",
        }
    }

    const fn devices(self) -> &'static [&'static str] {
        match self {
            Self::Nvenc => NVIDIA,
            Self::Qsv | Self::Vaapi => &[RENDER_NODE],
            Self::VideoToolbox => &[],
        }
    }
}

impl HardwareEncoder {
    /// Its name in ffmpeg, such as `h264_nvenc`.
    #[must_use]
    pub fn name(self) -> String {
        let codec = match self.codec {
            HardwareCodec::H264 => "h264",
            HardwareCodec::H265 => "hevc",
        };
        format!("{codec}_{}", self.hardware.name())
    }

    /// What a run with it is given beside its files.
    pub(crate) fn add_to(self, scope: Scope) -> Scope {
        let paths = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
        let read = scope.read.into_iter().chain(paths(ABOUT_CARDS)).collect();
        Scope { read, devices: paths(self.hardware.devices()), ..scope }
    }

    /// What stands before all inputs.
    pub(crate) fn write_device(self, args: &mut Arguments) {
        if self.hardware == Hardware::Vaapi {
            args.pair("-vaapi_device", RENDER_NODE);
        }
    }

    /// The graph with its pictures where this encoder takes them.
    pub(crate) fn fed_by(self, graph: Graph) -> Graph {
        match self.hardware {
            Hardware::Nvenc | Hardware::VideoToolbox => graph,
            Hardware::Qsv => graph.then(Filter::Format(PixelFormat::Nv12)),
            Hardware::Vaapi => {
                graph.then(Filter::Format(PixelFormat::Nv12)).then(Filter::HardwareUpload)
            }
        }
    }

    /// The encoder and its rate.
    pub(crate) fn write(self, args: &mut Arguments, rate: Rate) {
        args.pair("-c:v", self.name());
        match self.hardware {
            Hardware::Nvenc => {
                args.pair("-preset", "p5");
                args.pair("-rc", "vbr");
            }
            Hardware::Qsv => args.pair("-preset", "medium"),
            Hardware::Vaapi => args.pair("-rc_mode", if is_quality(rate) { "CQP" } else { "VBR" }),
            // Else the processors would do it, and worse than libx264.
            Hardware::VideoToolbox => args.pair("-allow_sw", 0),
        }
        if self.codec == HardwareCodec::H265 {
            // Apple's players refuse ffmpeg's usual `hev1`.
            args.pair("-tag:v", "hvc1");
        }
        match rate {
            Rate::Bits(bits) => capped_bits(args, bits),
            Rate::Quality(quality) => self.write_quality(args, quality),
            Rate::Capped { quality, bits } => {
                self.write_quality(args, quality);
                args.pair("-maxrate", bits);
                args.pair("-bufsize", bits);
            }
        }
    }

    fn write_quality(self, args: &mut Arguments, quality: u8) {
        match self.hardware {
            Hardware::Nvenc => {
                args.pair("-cq", quality);
                // Else the quality is only a lower limit of a bit rate of 2 Mbit/s.
                args.pair("-b:v", 0);
            }
            Hardware::Qsv => args.pair("-global_quality", quality),
            Hardware::Vaapi => args.pair("-qp", quality),
            Hardware::VideoToolbox => args.pair("-q:v", quality),
        }
    }

    /// One grey picture to nowhere.
    fn trial(self) -> Vec<OsString> {
        let mut args = Arguments::default();
        self.write_device(&mut args);
        args.pair("-f", "lavfi");
        args.pair("-i", "color=c=gray:s=320x240:r=25:d=0.2");
        let graph = match self.hardware {
            Hardware::Nvenc | Hardware::VideoToolbox => "format=yuv420p",
            Hardware::Qsv => "format=nv12",
            Hardware::Vaapi => "format=nv12,hwupload",
        };
        args.pair("-vf", graph);
        args.pair("-frames:v", 1);
        self.write(&mut args, Rate::Quality(30));
        args.pair("-f", "null");
        args.flag("-");
        args.list
    }
}

const fn is_quality(rate: Rate) -> bool {
    matches!(rate, Rate::Quality(_))
}

impl Tools {
    /// The same, knowing which encoders of `wanted` have made a picture just now.
    ///
    /// The same rule as for [`Tools::run`] holds for where to call it from.
    #[must_use]
    pub async fn with_hardware(&self, wanted: &[Hardware]) -> Self {
        let mut found = Vec::new();
        for &hardware in wanted {
            for codec in [HardwareCodec::H264, HardwareCodec::H265] {
                let encoder = HardwareEncoder { hardware, codec };
                if self.has_encoder(&encoder.name()) && self.encodes(encoder).await {
                    found.push(encoder);
                }
            }
        }
        self.knowing(found)
    }

    async fn encodes(&self, encoder: HardwareEncoder) -> bool {
        let (scope, stop) = (encoder.add_to(Scope::default()), CancellationToken::new());
        let ran = self.run_argv(&encoder.trial(), scope, &[], |_| {}, &stop).await;
        if let Err(error) = &ran {
            let error = error as &dyn std::error::Error;
            tracing::debug!(error, encoder = encoder.name(), "an encoder is not there");
        }
        ran.is_ok_and(|ran| ran.written.frame >= 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(hardware: Hardware, codec: HardwareCodec, rate: Rate) -> String {
        let mut args = Arguments::default();
        let encoder = HardwareEncoder { hardware, codec };
        encoder.write_device(&mut args);
        encoder.write(&mut args, rate);
        let words = args.list.iter().map(|word| word.to_string_lossy());
        words.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn each_encoder_has_its_own_words_for_quality_and_for_bits() {
        use Hardware::{Nvenc, Qsv, Vaapi, VideoToolbox};
        use HardwareCodec::{H264, H265};
        let (quality, bits) = (Rate::Quality(27), Rate::Bits(2_000_000));
        let mut lines = Vec::new();
        for hardware in [Nvenc, Qsv, Vaapi, VideoToolbox] {
            lines.push(words(hardware, H264, quality));
            lines.push(words(hardware, H265, bits));
        }
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn pictures_go_to_the_card_where_the_encoder_takes_them_there() {
        let graph = |hardware| {
            let encoder = HardwareEncoder { hardware, codec: HardwareCodec::H264 };
            let source = crate::Source { input: 0, stream: 0 };
            encoder.fed_by(Graph::from_stream(source)).to_string()
        };
        assert!(graph(Hardware::Vaapi).contains("format=nv12,hwupload"));
        assert!(graph(Hardware::Qsv).contains("format=nv12"));
        assert!(!graph(Hardware::Nvenc).contains("nv12"));
    }

    #[test]
    fn a_run_gets_the_devices_of_its_own_hardware_and_of_no_other() {
        let scope = |hardware| {
            let encoder = HardwareEncoder { hardware, codec: HardwareCodec::H264 };
            encoder.add_to(Scope::default()).devices
        };
        assert_eq!(scope(Hardware::Vaapi), [PathBuf::from(RENDER_NODE)]);
        assert!(scope(Hardware::Nvenc).iter().all(|path| path.starts_with("/dev")));
        assert!(scope(Hardware::VideoToolbox).is_empty());
        assert!(Scope::default().devices.is_empty());
    }

    #[tokio::test]
    async fn an_encoder_without_its_hardware_is_not_found() {
        let tools = Tools::find(None, None, crate::Limits::default()).await.unwrap();
        let found = tools.with_hardware(&Hardware::ALL).await;
        // Where the tests run there may be a card; a kind that ffmpeg was not built with is nowhere.
        let built = |encoder: &HardwareEncoder| tools.has_encoder(&encoder.name());
        assert!(found.hardware().iter().all(built), "{:?}", found.hardware());
        assert!(tools.hardware().is_empty());
    }
}
