//! `kind: "image"` with `interval` or `sprite`: many pictures of a film.
//!
//! One ffmpeg decodes the film once. Pictures are files of their own, or lie side by side on
//! sheets; a list in WebVTT then says for each moment which part of which sheet shows it.

use std::fmt::Write as _;

use ffmpeg::filter::Filter;
use ffmpeg::{Bounds, Conversion, Muxer, Output, Timing, Video};

use super::picture::Picture;
use super::size::Grid;
use super::span::Span;
use super::{FactsFrom, FileType, Given, Memory, Place, Plan, Planned, Step, Work, gate, image};
use crate::job::FileKind;
use crate::job::options::{ImageFormat, ImageOptions, Length, MAX_SIDE, Sprite};
use crate::task::{ErrorKind, Failure};

/// The most pictures that a job makes as files of their own.
const MAX_PICTURES: u64 = 1000;

/// The most pictures that a job puts on sheets.
const MAX_TILES: u64 = 10_000;

/// How wide a picture on a sheet is when nothing is said.
const TILE_WIDTH: u32 = 160;

/// The folders that pictures and sheets go into.
const FRAMES: &str = "frames";
const SHEETS: &str = "sprites";

const LIST: FileType = FileType::new(FileKind::Text, "vtt", "text/vtt", "thumbnails.vtt");

pub(super) fn plan(options: &ImageOptions, given: Given<'_>) -> Result<Plan, Failure> {
    let series = Series::new(options, given)?;
    match options.sprite {
        Some(sprite) => series.sheets(sprite),
        None => series.frames(),
    }
}

/// Pictures of a film at equal distances.
struct Series<'a> {
    options: &'a ImageOptions,
    given: Given<'a>,
    span: Span,
    picture: Picture<'a>,
    every_secs: f64,
    /// How long the part is that they are taken from, if that is known.
    rest_secs: Option<f64>,
}

impl<'a> Series<'a> {
    fn new(options: &'a ImageOptions, given: Given<'a>) -> Result<Self, Failure> {
        let video = gate::moving(given.facts, given.settings)?;
        let start = options.start.get();
        let span = Span::new(start, None, given.facts.duration, given.settings)?;
        let length = video.duration.or(given.facts.duration);
        let rest_secs = length.map(|secs| secs - start).filter(|secs| *secs > 0.0);
        let every_secs = match (options.interval, options.sprite, rest_secs) {
            (Some(interval), ..) => interval.get(),
            (None, Some(Sprite { columns, rows }), Some(rest)) => {
                rest / f64::from(columns.get() * rows.get())
            }
            (None, ..) => {
                let message = "the input does not say how long it is";
                return Err(Failure::new(ErrorKind::InputUnsupported, message)
                    .hint("give `interval`: a picture every so many seconds"));
            }
        };
        let picture = Picture {
            video,
            still: false,
            wish: image::wish(options),
            grid: Grid::Any,
            fps: None,
            every_secs: Some(every_secs),
            at_most: None,
            last_only: false,
        };
        Ok(Self { options, given, span, picture, every_secs, rest_secs })
    }

    /// How many pictures there are, if that can be told.
    fn count(&self, most: u64) -> Result<Option<u64>, Failure> {
        let Some(rest) = self.rest_secs else { return Ok(None) };
        // A film of 2 s has pictures at 0 and 1 s; what it says of its length is not exact.
        let count = (rest / self.every_secs - 1e-3).ceil().max(1.0) as u64;
        if count <= most {
            return Ok(Some(count));
        }
        let smallest = (rest / most as f64 * 1000.0).ceil() / 1000.0;
        Err(Failure::new(
            ErrorKind::InputOverLimit,
            format!(
                "a picture every {} s of {rest:.0} s are {count} pictures; at most {most} are made",
                self.every_secs
            ),
        )
        .hint(format!("the smallest `interval` that fits is {smallest} s")))
    }

    fn frames(self) -> Result<Plan, Failure> {
        let count = self.count(MAX_PICTURES)?;
        let picture = Picture { at_most: count, ..self.picture };
        let most = count.unwrap_or(MAX_PICTURES);
        let (run, file) = self.run(picture, None, FRAMES, "%04d", most);
        let memory = self.memory(picture.geometry().size());
        let steps = vec![Step::quick(Work::Folder(FRAMES)), run];
        Ok(self.plan(memory, steps, vec![folder(file, FRAMES)]))
    }

    fn sheets(mut self, Sprite { columns, rows }: Sprite) -> Result<Plan, Failure> {
        let (columns, rows) = (columns.get(), rows.get());
        let wish = &mut self.picture.wish;
        if wish.width.is_none() && wish.height.is_none() {
            wish.width = Some(Length::Pixels(TILE_WIDTH));
        }
        // Where two pixels share their colour, an odd tile would give some to its neighbour.
        self.picture.grid = Grid::Even;
        let (width, height) = self.picture.geometry().size();
        if width * columns > MAX_SIDE || height * rows > MAX_SIDE {
            return Err(Failure::new(
                ErrorKind::InputOverLimit,
                format!(
                    "a sheet of {columns} × {rows} pictures of {width} × {height} pixels is larger \
                     than {MAX_SIDE} pixels on a side"
                ),
            )
            .hint("ask for a smaller `width`, or for fewer `columns` and `rows`"));
        }
        let a_sheet = u64::from(columns * rows);
        let count = self.count(MAX_TILES)?;
        let tiles = count.unwrap_or(MAX_TILES);
        let picture = Picture { at_most: Some(tiles), ..self.picture };
        let tile = Filter::Tile { columns, rows };
        let most = tiles.div_ceil(a_sheet);
        let (run, file) = self.run(picture, Some(tile), SHEETS, "%03d", most);
        let memory = self.memory((width * columns, height * rows));
        let list = Thumbnails {
            name: LIST.file_name,
            folder: SHEETS,
            columns,
            rows,
            width,
            height,
            every_secs: self.every_secs,
            secs: self.rest_secs,
            tiles,
        };
        let steps =
            vec![Step::quick(Work::Folder(SHEETS)), run, Step::quick(Work::Thumbnails(list))];
        let list = Planned::file(LIST, LIST.file_name.to_owned(), FactsFrom::Nobody);
        Ok(self.plan(memory, steps, vec![list, folder(file, SHEETS)]))
    }

    fn format(&self) -> ImageFormat {
        self.options.format.unwrap_or_else(|| image::usual(self.picture.video, false))
    }

    /// With files of this size.
    fn memory(&self, size: (u32, u32)) -> Memory {
        let encoder = image::encoder(self.format(), self.options.quality);
        Memory::reading(self.given).and(encoder, size, self.given)
    }

    fn plan(&self, memory: Memory, steps: Vec<Step>, outputs: Vec<Planned>) -> Plan {
        let folder = self.given.files.output.clone();
        Plan {
            steps,
            fallback: None,
            folder,
            outputs,
            is_capped: false,
            ways: None,
            shareable: None,
            cuttable: None,
            memory,
        }
    }

    fn run(
        &self,
        picture: Picture<'_>,
        last: Option<Filter>,
        folder: &str,
        number: &str,
        most: u64,
    ) -> (Step, FileType) {
        let Given { files, settings, .. } = self.given;
        let format = self.format();
        let file = image::file_type(format);
        let ending = file.file_name.rsplit('.').next().unwrap_or(file.format);
        let encoder = image::encoder(format, self.options.quality);
        let conversion = Conversion {
            threads: settings.threads,
            inputs: vec![picture.input(self.given, self.span.seek, None)],
            graph: Some(image::graph(format, picture).then_some(last)),
            output: Output {
                path: files.output.join(folder).join(format!("{number}.{ending}")),
                muxer: Muxer::Pictures,
                video: Some(Video { encoder, timing: Timing::Graph }),
                audio: None,
                bounds: Bounds {
                    frames: most + 1,
                    secs: settings.max_duration_secs,
                    bytes: settings.max_output_bytes,
                },
            },
            expected_secs: self.rest_secs,
        };
        (Step::run(conversion.command(), 1.0), file)
    }
}

fn folder(file: FileType, name: &str) -> Planned {
    let FileType { kind, format, content_type, .. } = file;
    let place = Place::Folder(name.to_owned());
    Planned { place, kind, format, content_type, facts: FactsFrom::Itself }
}

/// Which part of which sheet shows which moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Thumbnails {
    /// The name of the list.
    pub name: &'static str,
    /// The folder of the sheets, beside the list.
    pub folder: &'static str,
    columns: u32,
    rows: u32,
    width: u32,
    height: u32,
    every_secs: f64,
    /// How long the part is that the pictures are taken from.
    secs: Option<f64>,
    /// How many pictures there are at most.
    tiles: u64,
}

impl Thumbnails {
    /// The list as WebVTT, of the sheets that were made: their names in order.
    ///
    /// Players take it for the pictures above their time line; each text is a file beside the
    /// list with the place of the picture in it, as Media Fragments have it.
    #[must_use]
    pub fn text(&self, sheets: &[String]) -> String {
        let a_sheet = u64::from(self.columns * self.rows);
        let tiles = self.tiles.min(sheets.len() as u64 * a_sheet);
        let mut text = String::from("WEBVTT\n");
        for tile in 0..tiles {
            let place = (tile % a_sheet) as u32;
            let (x, y) = (place % self.columns * self.width, place / self.columns * self.height);
            let (start, end) = (self.at(tile), self.at(tile + 1));
            let end = if tile + 1 == tiles { self.secs.unwrap_or(end).max(start) } else { end };
            let sheet = &sheets[(tile / a_sheet) as usize];
            let (width, height) = (self.width, self.height);
            // Writing to a String cannot fail.
            let _infallible = write!(
                text,
                "\n{} --> {}\n{}/{sheet}#xywh={x},{y},{width},{height}\n",
                clock(start),
                clock(end),
                self.folder,
            );
        }
        text
    }

    fn at(&self, tile: u64) -> f64 {
        tile as f64 * self.every_secs
    }
}

/// `00:01:02.500`
fn clock(secs: f64) -> String {
    let millis = (secs * 1000.0).round() as u64;
    let (secs, minutes) = (millis / 1000, millis / 60_000);
    format!("{:02}:{:02}:{:02}.{:03}", minutes / 60, minutes % 60, secs % 60, millis % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_says_which_part_of_which_sheet_shows_which_moment() {
        let list = Thumbnails {
            name: "thumbnails.vtt",
            folder: "sprites",
            columns: 2,
            rows: 1,
            width: 160,
            height: 90,
            every_secs: 2.5,
            secs: Some(6.2),
            tiles: 3,
        };
        let sheets = ["001.webp".to_owned(), "002.webp".to_owned()];
        insta::assert_snapshot!(list.text(&sheets), @r"
        WEBVTT

        00:00:00.000 --> 00:00:02.500
        sprites/001.webp#xywh=0,0,160,90

        00:00:02.500 --> 00:00:05.000
        sprites/001.webp#xywh=160,0,160,90

        00:00:05.000 --> 00:00:06.200
        sprites/002.webp#xywh=0,0,160,90
        ");
        assert_eq!(list.text(&sheets[..1]).matches("xywh").count(), 2, "what was made");
        assert_eq!(clock(3_723.5), "01:02:03.500");
    }
}
