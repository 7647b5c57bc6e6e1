//! The shape of a sound: its lowest and highest sample in each of so many stretches.
//!
//! Samples are read from the process as they come and only the shape is kept, however long the
//! sound is. It is written as BBC's audiowaveform does (JSON, version 2, 8 bits), which peaks.js
//! and others draw: <https://github.com/bbc/audiowaveform/blob/master/doc/DataFormat.md>.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::Path;

use tokio_util::sync::CancellationToken;

use crate::args::{Arguments, Input};
use crate::facts::AudioStream;
use crate::run::Given;
use crate::watch::Heard;
use crate::{RunError, Tools, policy};

/// The rate at which samples are taken where a file does not tell its own.
const USUAL_RATE: u32 = 48_000;

/// The shape of a sound, mixed to one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    sample_rate: u32,
    samples_per_point: u64,
    /// The most points.
    points: usize,
    /// The lowest and the highest sample of each.
    data: Vec<(i16, i16)>,
    /// How many samples the last point has.
    in_last: u64,
    /// Half a sample that came at the end of a read.
    half: Option<u8>,
}

impl Shape {
    /// A shape of at most so many points of a sound of about so many seconds; a sound whose
    /// length is not known is drawn in finer points first and coarser ones as it goes on.
    fn new(sample_rate: u32, secs: Option<f64>, points: u32) -> Self {
        let samples = (secs.unwrap_or(0.0) * f64::from(sample_rate)).ceil() as u64;
        Self {
            sample_rate,
            samples_per_point: samples.div_ceil(u64::from(points)).max(1),
            points: points as usize,
            data: Vec::new(),
            in_last: 0,
            half: None,
        }
    }

    /// Takes the next bytes of samples of 16 bits, the lower byte first.
    fn push(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            match self.half.take() {
                None => self.half = Some(byte),
                Some(low) => self.sample(i16::from_le_bytes([low, byte])),
            }
        }
    }

    fn sample(&mut self, sample: i16) {
        match self.data.last_mut() {
            Some((low, high)) if self.in_last < self.samples_per_point => {
                *low = sample.min(*low);
                *high = sample.max(*high);
                self.in_last += 1;
            }
            _ => {
                if self.data.len() == self.points {
                    self.coarsen();
                    return self.sample(sample);
                }
                self.data.push((sample, sample));
                self.in_last = 1;
            }
        }
    }

    /// Two points become one: the sound is longer than was thought.
    fn coarsen(&mut self) {
        let is_odd = self.data.len() % 2 == 1;
        let join = |pair: &[(i16, i16)]| {
            let low = pair.iter().map(|(low, _)| *low).min().unwrap_or(0);
            let high = pair.iter().map(|(_, high)| *high).max().unwrap_or(0);
            (low, high)
        };
        self.data = self.data.chunks(2).map(join).collect();
        self.in_last = if is_odd { self.samples_per_point } else { 2 * self.samples_per_point };
        self.samples_per_point *= 2;
    }

    /// As audiowaveform's JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        let Self { sample_rate, samples_per_point, data, .. } = self;
        let mut json = format!(
            "{{\"version\":2,\"channels\":1,\"sample_rate\":{sample_rate},\
             \"samples_per_pixel\":{samples_per_point},\"bits\":8,\"length\":{},\"data\":[",
            data.len()
        );
        for (number, (low, high)) in data.iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            // Writing to a String cannot fail.
            let _infallible = write!(json, "{comma}{},{}", low >> 8, high >> 8);
        }
        json + "]}"
    }
}

impl Tools {
    /// Draws a sound of about so many seconds in at most so many points.
    ///
    /// The same rules as for [`Tools::run`] hold for `stop`, for dropping and for where to call
    /// it from.
    pub async fn shape(
        &self,
        input: &Input,
        audio: &AudioStream,
        secs: Option<f64>,
        points: u32,
        stop: &CancellationToken,
    ) -> Result<Shape, RunError> {
        let rate = if audio.sample_rate == 0 { USUAL_RATE } else { audio.sample_rate };
        let argv = arguments(input, audio.index, rate);
        let given = Given::reading([&input.media]);
        let mut shape = Shape::new(rate, secs, points);
        let hear = |bytes: &[u8]| {
            shape.push(bytes);
            Heard::Life
        };
        self.to_good_end(&argv, Path::new("/"), given, hear, stop).await?;
        Ok(shape)
    }
}

fn arguments(input: &Input, stream: u32, rate: u32) -> Vec<OsString> {
    let mut args = Arguments::default();
    args.flag("-hide_banner");
    args.flag("-nostdin");
    args.pair("-v", "level+warning");
    args.pair("-max_alloc", policy::MAX_ALLOCATION_BYTES);
    input.write(&mut args, None);
    args.pair("-map", format!("0:{stream}"));
    args.pair("-ac", 1);
    args.pair("-ar", rate);
    args.pair("-c:a", "pcm_s16le");
    args.pair("-f", "s16le");
    args.flag("pipe:1");
    args.list
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn drawn(secs: Option<f64>, points: u32, samples: &[i16], read: usize) -> Shape {
        let mut shape = Shape::new(10, secs, points);
        let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        bytes.chunks(read).for_each(|bytes| shape.push(bytes));
        shape
    }

    #[test]
    fn each_point_is_the_lowest_and_the_highest_sample_of_its_stretch() {
        let samples = [0, 256, -512, 1024, 2560, -2560, 0, 0, 32767, -32768];
        let shape = drawn(Some(1.0), 5, &samples, 3);
        assert_eq!(
            shape.to_json(),
            "{\"version\":2,\"channels\":1,\"sample_rate\":10,\"samples_per_pixel\":2,\"bits\":8,\
             \"length\":5,\"data\":[0,1,-2,4,-10,10,0,0,-128,127]}"
        );
    }

    proptest! {
        #[test]
        fn every_sample_is_within_its_point_whatever_the_length_was_thought_to_be(
            samples in prop::collection::vec(any::<i16>(), 1..500),
            points in 10_u32..40,
            secs in prop::option::of(0.0_f64..60.0),
            read in 1_usize..9,
        ) {
            let shape = drawn(secs, points, &samples, read);
            prop_assert!(shape.data.len() <= points as usize);
            let stretch = shape.samples_per_point as usize;
            prop_assert_eq!(shape.data.len(), samples.len().div_ceil(stretch));
            for (samples, point) in samples.chunks(stretch).zip(&shape.data) {
                let (low, high) = (samples.iter().min(), samples.iter().max());
                prop_assert_eq!((low, high), (Some(&point.0), Some(&point.1)));
            }
        }
    }
}
