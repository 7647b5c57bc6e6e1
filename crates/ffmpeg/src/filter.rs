//! A filter graph as a value: typed filters in, ffmpeg's graph text out.
//!
//! The list of filters is closed: none of them loads a module, one opens a file (of a fixed name,
//! in the folder that the process runs in), and every parameter is a number or a name from an
//! enum.

use std::fmt;

use crate::args::{Source, micros, number};
use crate::facts::Rotation;

/// The script that [`Filter::Subtitles`] reads, in the folder of the first output.
pub const SUBTITLES: &str = "subtitles.ass";

/// A filter with its parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Filter {
    /// To exactly this size, and from one meaning of the numbers to another.
    Scale(Scale),
    /// A part of the picture.
    Crop(Area),
    /// The picture on a larger ground.
    Pad {
        /// The ground's size and where on it the picture lies.
        area: Area,
        /// The ground's colour.
        color: Rgb,
    },
    /// Upright.
    Turn(Rotation),
    /// Left to right.
    Mirror,
    /// So many pictures a second.
    Fps(f64),
    /// What is shown at 0 seconds, and every so many seconds after that.
    Every(f64),
    /// So many pictures beside and below each other are one; the last one may be black in part.
    Tile {
        /// How many beside each other.
        columns: u32,
        /// How many below each other.
        rows: u32,
    },
    /// Time begins at 0 with the first picture.
    Restart,
    /// The pictures from one moment up to another, in microseconds of their own time stamps.
    Slice {
        /// From the first where it is not given.
        from_us: Option<i64>,
        /// To the last where it is not given.
        until_us: Option<i64>,
    },
    /// Only the last picture, in constant memory.
    LastOnly,
    /// The first so many pictures. What comes before need not be read on for more, which a
    /// bound of the output cannot do when a filter waits for the end.
    AtMost(u64),
    /// The pixel format.
    Format(PixelFormat),
    /// Pixels are square.
    SquarePixels,
    /// Says what the numbers mean, without changing them.
    Tag {
        /// Their range.
        range: Range,
        /// Their meaning.
        meaning: Meaning,
    },
    /// From more light than a screen has to BT.709, by tone mapping.
    ToneMap(Meaning),
    /// From one standard meaning to BT.709, without touching the light.
    ToBt709(Meaning),
    /// Red, green and blue of Display P3, as phones have them, to those of sRGB.
    P3ToSrgb {
        /// Whether they can be seen through.
        alpha: bool,
    },
    /// Colours are multiplied with alpha, so that scaling mixes no invisible colour in.
    Premultiply,
    /// Undoes [`Filter::Premultiply`].
    Unpremultiply,
    /// With the texts of [`SUBTITLES`], which is read by libass alone: the filter `subtitles`
    /// would have any demuxer of ffmpeg open it.
    Subtitles,
    /// To the memory of a card.
    HardwareUpload,
    /// One picture: the palette of all pictures.
    PaletteGen {
        /// How many colours, 2 to 256.
        colors: u16,
    },
}

/// The parameters of [`Filter::Scale`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// What the numbers mean; as the picture itself says when not given.
    pub from: Option<Matrix>,
    /// What they shall mean; ffmpeg's usual when not given.
    pub to: Option<Matrix>,
    /// The range they shall have; as it is when not given.
    pub range: Option<Range>,
}

/// A rectangle: a size and where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each name says it all")]
pub struct Area {
    pub width: u32,
    pub height: u32,
    pub x: u32,
    pub y: u32,
}

/// An opaque colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each name says it all")]
pub struct Rgb {
    pub red: u8,
    pub green: u8,
    pub blue: u8,
}

impl fmt::Display for Rgb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:02x}{:02x}{:02x}", self.red, self.green, self.blue)
    }
}

/// How YUV and RGB belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each name says it all")]
pub enum Matrix {
    Bt601,
    Bt709,
    Bt2020,
}

impl Matrix {
    const fn name(self) -> &'static str {
        match self {
            Self::Bt601 => "bt601",
            Self::Bt709 => "bt709",
            Self::Bt2020 => "bt2020",
        }
    }
}

/// Whether black is 16 or 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// 16 to 235.
    Tv,
    /// 0 to 255.
    Pc,
}

impl Range {
    const fn name(self) -> &'static str {
        match self {
            Self::Tv => "tv",
            Self::Pc => "pc",
        }
    }
}

/// What the numbers of a picture mean, in names that ffmpeg's filters know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meaning {
    space: &'static str,
    primaries: &'static str,
    transfer: &'static str,
    range: Range,
}

impl Meaning {
    /// Standard pictures of high definition.
    pub const BT709: Self = Self::new("bt709", "bt709", "bt709");
    /// Standard pictures of old television, 525 lines.
    pub const SMPTE170M: Self = Self::new("smpte170m", "smpte170m", "smpte170m");
    /// Standard pictures of old television, 625 lines.
    pub const BT470BG: Self = Self::new("bt470bg", "bt470bg", "smpte170m");
    /// Wide colours in standard light.
    pub const BT2020: Self = Self::new("bt2020nc", "bt2020", "bt2020-10");
    /// What browsers take a still picture for.
    pub const SRGB_STILL: Self = Self::new("smpte170m", "bt709", "iec61966-2-1");

    const SPACES: &[&str] = &["bt709", "smpte170m", "bt470bg", "bt2020nc", "bt2020c"];
    const PRIMARIES: &[&str] = &["bt709", "smpte170m", "bt470bg", "bt2020", "smpte431", "smpte432"];
    const TRANSFERS: &[&str] = &[
        "bt709",
        "smpte170m",
        "iec61966-2-1",
        "bt2020-10",
        "bt2020-12",
        "smpte2084",
        "arib-std-b67",
    ];

    const fn new(space: &'static str, primaries: &'static str, transfer: &'static str) -> Self {
        Self { space, primaries, transfer, range: Range::Tv }
    }

    /// This meaning, with each name that is known put in its place.
    #[must_use]
    pub fn refined(self, space: &str, primaries: &str, transfer: &str) -> Self {
        let known = |names: &[&'static str], name: &str, otherwise| {
            names.iter().copied().find(|known| *known == name).unwrap_or(otherwise)
        };
        Self {
            space: known(Self::SPACES, space, self.space),
            primaries: known(Self::PRIMARIES, primaries, self.primaries),
            transfer: known(Self::TRANSFERS, transfer, self.transfer),
            range: self.range,
        }
    }

    /// The same in another range.
    #[must_use]
    pub const fn with_range(mut self, range: Range) -> Self {
        self.range = range;
        self
    }
}

/// A pixel format that an encoder is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "ffmpeg's names")]
pub enum PixelFormat {
    Yuv420p,
    Yuv420p10,
    Yuv444p10,
    Yuvj420p,
    Nv12,
    Gbrp,
    Gbrap,
    Rgb24,
    Rgba,
    Bgra,
}

impl PixelFormat {
    const fn name(self) -> &'static str {
        match self {
            Self::Yuv420p => "yuv420p",
            Self::Yuv420p10 => "yuv420p10le",
            Self::Yuv444p10 => "yuv444p10le",
            Self::Yuvj420p => "yuvj420p",
            Self::Nv12 => "nv12",
            Self::Gbrp => "gbrp",
            Self::Gbrap => "gbrap",
            Self::Rgb24 => "rgb24",
            Self::Rgba => "rgba",
            Self::Bgra => "bgra",
        }
    }
}

/// How colours that are not in a palette are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dither {
    /// A regular pattern, which compresses well; 0 (strong) to 5.
    Bayer(u8),
    /// Spread to the neighbours, which looks better.
    Sierra,
}

impl Filter {
    /// Whether what it makes of a picture depends on that picture alone, not on others and not on
    /// the time.
    #[must_use]
    pub const fn is_of_each_picture(&self) -> bool {
        match self {
            Self::Scale(_)
            | Self::Crop(_)
            | Self::Pad { .. }
            | Self::Turn(_)
            | Self::Mirror
            | Self::Format(_)
            | Self::SquarePixels
            | Self::Tag { .. }
            | Self::ToneMap(_)
            | Self::ToBt709(_)
            | Self::P3ToSrgb { .. }
            | Self::Premultiply
            | Self::Unpremultiply
            | Self::HardwareUpload => true,
            Self::Fps(_)
            | Self::Every(_)
            | Self::Tile { .. }
            | Self::Restart
            | Self::Slice { .. }
            | Self::LastOnly
            | Self::AtMost(_)
            | Self::Subtitles
            | Self::PaletteGen { .. } => false,
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Scale(scale) => scale.fmt(f),
            // Without `exact` a side of a picture that shares colours is made even.
            Self::Crop(Area { width, height, x, y }) => {
                write!(f, "crop={width}:{height}:{x}:{y}:exact=1")
            }
            Self::Pad { area: Area { width, height, x, y }, color } => {
                write!(f, "pad={width}:{height}:{x}:{y}:color={color}")
            }
            Self::Turn(Rotation::None) => f.write_str("null"),
            Self::Turn(Rotation::Quarter) => f.write_str("transpose=clock"),
            Self::Turn(Rotation::Half) => f.write_str("hflip,vflip"),
            Self::Turn(Rotation::ThreeQuarters) => f.write_str("transpose=cclock"),
            Self::Mirror => f.write_str("hflip"),
            Self::Fps(fps) => write!(f, "fps={}", number(fps)),
            // Rounded up, a picture is there until the next one is.
            Self::Every(secs) => write!(f, "fps=1/{}:start_time=0:round=up", number(secs)),
            Self::Tile { columns, rows } => write!(f, "tile={columns}x{rows}"),
            Self::Restart => f.write_str("setpts=PTS-STARTPTS"),
            // All pictures fall on the first tick, where each takes the place of the one before;
            // the end of the stream lets the one that is left through. It is told at a usual
            // rate then: libaom refuses one picture in eleven days.
            Self::LastOnly => f.write_str(
                "setpts=PTS-STARTPTS,fps=fps=1/1000000:eof_action=pass,fps=1,trim=end_frame=1",
            ),
            Self::Slice { from_us: None, until_us: None } => f.write_str("null"),
            Self::Slice { from_us, until_us } => {
                let bound = |name, moment: Option<i64>| {
                    moment.map(|moment_us| format!("{name}={}", micros(moment_us)))
                };
                let bounds = [bound("start", from_us), bound("end", until_us)];
                let bounds: Vec<String> = bounds.into_iter().flatten().collect();
                write!(f, "trim={}", bounds.join(":"))
            }
            Self::AtMost(pictures) => write!(f, "trim=end_frame={pictures}"),
            Self::Format(format) => write!(f, "format={}", format.name()),
            Self::SquarePixels => f.write_str("setsar=1"),
            Self::Tag { range, meaning } => write!(
                f,
                "setparams=range={}:colorspace={}:color_primaries={}:color_trc={}",
                range.name(),
                meaning.space,
                meaning.primaries,
                meaning.transfer
            ),
            Self::ToneMap(from) => {
                f.write_str("zscale=")?;
                from.write_input(f)?;
                f.write_str(
                    ":t=linear:npl=100,format=gbrpf32le,zscale=p=bt709,tonemap=hable:desat=0,\
                     zscale=t=bt709:m=bt709:r=tv,format=yuv444p",
                )
            }
            Self::ToBt709(from) => {
                f.write_str("zscale=")?;
                from.write_input(f)?;
                f.write_str(":p=bt709:t=bt709:m=bt709:r=tv,format=yuv444p")
            }
            Self::P3ToSrgb { alpha } => write!(
                f,
                "format={},zscale=min=gbr:pin=smpte432:tin=iec61966-2-1:rin=pc:m=gbr:p=bt709:\
                 t=iec61966-2-1:r=pc",
                if alpha { "gbrap" } else { "gbrp" }
            ),
            Self::Premultiply => f.write_str("premultiply=inplace=1"),
            Self::Unpremultiply => f.write_str("unpremultiply=inplace=1"),
            Self::Subtitles => write!(f, "ass=f={SUBTITLES}"),
            Self::HardwareUpload => f.write_str("hwupload"),
            Self::PaletteGen { colors } => {
                write!(f, "palettegen=max_colors={colors}:stats_mode=full")
            }
        }
    }
}

impl Meaning {
    /// Said in full, because zscale refuses to guess what a file left out.
    fn write_input(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { space, primaries, transfer, range } = self;
        write!(f, "min={space}:pin={primaries}:tin={transfer}:rin={}", range.name())
    }
}

impl fmt::Display for Scale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "scale=w={}:h={}:flags=bicubic", self.width, self.height)?;
        if let Some(matrix) = self.from {
            write!(f, ":in_color_matrix={}", matrix.name())?;
        }
        if let Some(matrix) = self.to {
            write!(f, ":out_color_matrix={}", matrix.name())?;
        }
        match self.range {
            Some(range) => write!(f, ":out_range={}", range.name()),
            None => Ok(()),
        }
    }
}

/// Chains of filters from a stream to one result.
#[derive(Clone, Debug, PartialEq)]
pub struct Graph {
    /// Chains that are closed, each with its pads.
    chains: Vec<String>,
    /// The pads that the open chain begins with.
    from: String,
    /// The open chain.
    open: Vec<Filter>,
    /// How many pads have been named.
    pads: u32,
}

impl Graph {
    /// The pad that the result stands at.
    pub(crate) const OUTPUT: &str = "out";

    /// A graph that begins with a stream.
    #[must_use]
    pub fn from_stream(source: Source) -> Self {
        let from = format!("[{}:{}]", source.input, source.stream);
        Self { chains: Vec::new(), from, open: Vec::new(), pads: 0 }
    }

    /// The graph with one more filter at its end.
    #[must_use]
    pub fn then(mut self, filter: Filter) -> Self {
        self.open.push(filter);
        self
    }

    /// The graph with a filter at its end, if there is one.
    #[must_use]
    pub fn then_some(self, filter: Option<Filter>) -> Self {
        match filter {
            Some(filter) => self.then(filter),
            None => self,
        }
    }

    /// The graph with its transparent pictures laid on a colour.
    ///
    /// The ground is the picture itself painted over, so it has the right size and time.
    #[must_use]
    pub fn lay_on(mut self, color: Rgb) -> Self {
        self.open.push(Filter::Format(PixelFormat::Gbrap));
        let (ground, picture, painted) = (self.pad(), self.pad(), self.pad());
        self.close(&format!("split[{ground}][{picture}]"));
        let Rgb { red, green, blue } = color;
        self.chains.push(format!("[{ground}]lutrgb=r={red}:g={green}:b={blue}:a=255[{painted}]"));
        let laid = self.pad();
        self.chains.push(format!("[{painted}][{picture}]overlay=format=gbrp[{laid}]"));
        self.from = format!("[{laid}]");
        self
    }

    /// The graph with its pictures handed to several chains, each of which ends at a pad of its
    /// own.
    #[must_use]
    pub fn fan_out(mut self, chains: Vec<Vec<Filter>>) -> FanOut {
        let from: Vec<String> = chains.iter().map(|_| self.pad()).collect();
        let pads = format!("[{}]", from.join("]["));
        self.close(&format!("split={}{pads}", chains.len()));
        for (n, (pad, filters)) in from.iter().zip(&chains).enumerate() {
            let filters: Vec<String> = filters.iter().map(Filter::to_string).collect();
            let filters = if filters.is_empty() { "null".to_owned() } else { filters.join(",") };
            self.chains.push(format!("[{pad}]{filters}[{}]", FanOut::output(n)));
        }
        FanOut { chains: self.chains }
    }

    /// The graph with its pictures in the colours of a palette, a picture of another input.
    #[must_use]
    pub fn in_palette(mut self, palette: Source, dither: Dither) -> Self {
        let picture = self.pad();
        self.close(&format!("null[{picture}]"));
        let dither = match dither {
            Dither::Bayer(scale) => format!("bayer:bayer_scale={scale}"),
            Dither::Sierra => "sierra2_4a".to_owned(),
        };
        let done = self.pad();
        self.chains.push(format!(
            "[{picture}][{}:{}]paletteuse=dither={dither}:diff_mode=rectangle[{done}]",
            palette.input, palette.stream
        ));
        self.from = format!("[{done}]");
        self
    }

    /// The graph with a filter in front of all others; nothing where it is more than one chain, or
    /// a picture depends on others than itself.
    pub(crate) fn after(mut self, first: Filter) -> Option<Self> {
        if !self.chains.is_empty() || !self.open.iter().all(Filter::is_of_each_picture) {
            return None;
        }
        self.open.insert(0, first);
        Some(self)
    }

    /// The pad that it begins at and its filters, where it is one chain.
    pub(crate) fn as_chain(&self) -> Option<(&str, &[Filter])> {
        self.chains.is_empty().then_some((self.from.as_str(), self.open.as_slice()))
    }

    fn pad(&mut self) -> String {
        self.pads += 1;
        format!("p{}", self.pads)
    }

    fn close(&mut self, last: &str) {
        let mut chain = std::mem::take(&mut self.from);
        for filter in self.open.drain(..) {
            chain += &filter.to_string();
            chain.push(',');
        }
        self.chains.push(chain + last);
    }
}

/// Chains of filters from a stream to several results.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FanOut {
    pub(crate) chains: Vec<String>,
}

impl FanOut {
    /// The pad that a result stands at, counted from 0.
    pub(crate) fn output(number: usize) -> String {
        format!("{}{number}", Graph::OUTPUT)
    }
}

impl fmt::Display for FanOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.chains.join(";"))
    }
}

impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chain in &self.chains {
            write!(f, "{chain};")?;
        }
        f.write_str(&self.from)?;
        for (n, filter) in self.open.iter().enumerate() {
            let comma = if n == 0 { "" } else { "," };
            write!(f, "{comma}{filter}")?;
        }
        let nothing = if self.open.is_empty() { "null" } else { "" };
        write!(f, "{nothing}[{}]", Self::OUTPUT)
    }
}
