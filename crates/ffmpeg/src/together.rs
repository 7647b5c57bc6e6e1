//! Several conversions of one input as one process: it is read and decoded once.
//!
//! Filters that all of them begin with run once, and a picture that is much smaller than another
//! is made of that one, not of the source. Each output has its own encoders, bounds and file.

use std::fmt::Write as _;

use crate::args::{Arguments, Command, Conversion};
use crate::filter::{FanOut, Filter, Scale};

/// How many times as large a picture is, on both sides, that a smaller one is made of. To scale
/// twice costs sharpness; from here on none that can be seen.
const MUCH_LARGER: u32 = 2;

impl Conversion {
    /// The process that does all of these, each with the same result as alone; nothing where they
    /// read other things, or have graphs that cannot share their pictures.
    #[must_use]
    pub fn together(conversions: &[&Self]) -> Option<Command> {
        let first = conversions.first()?;
        let is_hardware = |it: &&Self| it.output.video.as_ref()?.encoder.hardware();
        if conversions.iter().any(|other| other.inputs != first.inputs)
            || conversions.iter().any(|it| is_hardware(it).is_some())
        {
            return None;
        }
        let mut from = None;
        let mut chains = Vec::new();
        for conversion in conversions {
            let (pad, filters) = conversion.graph.as_ref()?.as_chain()?;
            if *from.get_or_insert(pad) != pad {
                return None;
            }
            chains.push(filters);
        }
        let graph = share(from?, &chains);
        let mut args = Arguments::begin(first.threads, None, &first.inputs, Some(&graph));
        for (number, conversion) in conversions.iter().enumerate() {
            conversion.output.write(&mut args, &FanOut::output(number), conversion.threads);
        }
        let longest = conversions.iter().filter_map(|it| it.expected_secs).max_by(f64::total_cmp);
        Some(Command {
            arguments: args.list,
            expected_secs: longest,
            inputs: first.inputs.iter().map(|input| input.media.clone()).collect(),
            outputs: conversions.iter().map(|it| it.output.path.clone()).collect(),
            bounds: first.output.bounds,
            hardware: None,
        })
    }
}

/// Where a chain gets its pictures from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    /// What all of them begin with.
    Source,
    /// The end of another chain, which is much larger: from there on only the size changes.
    Chain(usize),
}

/// One graph of many chains that begin at `pad`.
fn share(pad: &str, chains: &[&[Filter]]) -> FanOut {
    let from: Vec<From> = (0..chains.len()).map(|number| parent(chains, number)).collect();
    let of_source: Vec<&[Filter]> = chains
        .iter()
        .zip(&from)
        .filter_map(|(chain, from)| (*from == From::Source).then_some(*chain))
        .collect();
    let alike = common(&of_source);
    let mut text =
        vec![fan(pad, &chains_start(&of_source, alike), &pads_from(&from, From::Source))];
    for (number, chain) in chains.iter().enumerate() {
        let filters = match from[number] {
            From::Source => chain[alike..].to_vec(),
            From::Chain(larger) => rest(chain, scale(chains[larger])),
        };
        let children = pads_from(&from, From::Chain(number));
        let begins = format!("[{}]", start(number));
        let ends = std::iter::once(FanOut::output(number)).chain(children).collect::<Vec<_>>();
        text.push(fan(&begins, &filters, &ends));
    }
    FanOut { chains: text }
}

/// The pad that a chain begins at.
fn start(number: usize) -> String {
    format!("s{number}")
}

/// The pads of all chains that begin there.
fn pads_from(from: &[From], here: From) -> Vec<String> {
    let begin = |(number, from): (usize, &From)| (*from == here).then(|| start(number));
    from.iter().enumerate().filter_map(begin).collect()
}

fn chains_start(chains: &[&[Filter]], alike: usize) -> Vec<Filter> {
    chains.first().map(|chain| chain[..alike].to_vec()).unwrap_or_default()
}

/// A chain from a pad to one or more.
fn fan(begins: &str, filters: &[Filter], ends: &[String]) -> String {
    let mut text = begins.to_owned();
    let mut names: Vec<String> = filters.iter().map(Filter::to_string).collect();
    if ends.len() > 1 {
        names.push(format!("split={}", ends.len()));
    } else if names.is_empty() {
        names.push("null".to_owned());
    }
    text += &names.join(",");
    for end in ends {
        // Writing to a String cannot fail.
        let _ = write!(text, "[{end}]");
    }
    text
}

/// How many filters all of them begin with.
fn common(chains: &[&[Filter]]) -> usize {
    let Some((first, others)) = chains.split_first() else { return 0 };
    let same = |at: usize| others.iter().all(|other| other.get(at) == first.get(at));
    (0..first.len()).take_while(|at| same(*at)).count()
}

/// The smallest chain that is much larger than this one and differs in size alone.
fn parent(chains: &[&[Filter]], number: usize) -> From {
    let Some(small) = scale(chains[number]) else { return From::Source };
    let is_larger = |other: &usize| {
        scale(chains[*other]).is_some_and(|large| {
            large.width >= small.width * MUCH_LARGER
                && large.height >= small.height * MUCH_LARGER
                && differ_in_size_alone(chains[*other], chains[number])
        })
    };
    let width = |other: &usize| scale(chains[*other]).map_or(0, |scale| scale.width);
    (0..chains.len()).filter(is_larger).min_by_key(width).map_or(From::Source, From::Chain)
}

fn scale(chain: &[Filter]) -> Option<Scale> {
    chain.iter().find_map(|filter| match filter {
        Filter::Scale(scale) => Some(*scale),
        _ => None,
    })
}

/// Whether two chains are the same but for the size that each scales to, and neither cuts, pads or
/// writes on the picture.
fn differ_in_size_alone(one: &[Filter], other: &[Filter]) -> bool {
    let is_plain = |filter: &Filter| {
        !matches!(filter, Filter::Crop(_) | Filter::Pad { .. } | Filter::Subtitles)
    };
    let without_size = |filter: &Filter| match *filter {
        Filter::Scale(scale) => Filter::Scale(Scale { width: 0, height: 0, ..scale }),
        other => other,
    };
    one.iter().all(is_plain) && one.iter().map(without_size).eq(other.iter().map(without_size))
}

/// What is left to do with the pictures of a larger chain: their size, and from it on what
/// belongs to it.
fn rest(chain: &[Filter], larger: Option<Scale>) -> Vec<Filter> {
    let to = larger.and_then(|larger| larger.to);
    let from_scale = chain.iter().skip_while(|filter| !matches!(filter, Filter::Scale(_)));
    from_scale
        .map(|filter| match *filter {
            Filter::Scale(scale) => Filter::Scale(Scale { from: to.or(scale.from), ..scale }),
            other => other,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::{Matrix, PixelFormat, Range};

    fn size(width: u32, height: u32) -> Filter {
        let to = Some(Matrix::Bt709);
        Filter::Scale(Scale {
            width,
            height,
            from: Some(Matrix::Bt601),
            to,
            range: Some(Range::Tv),
        })
    }

    fn chain(width: u32, height: u32) -> Vec<Filter> {
        vec![size(width, height), Filter::SquarePixels, Filter::Format(PixelFormat::Yuv420p)]
    }

    fn shared(chains: &[Vec<Filter>]) -> String {
        let chains: Vec<&[Filter]> = chains.iter().map(Vec::as_slice).collect();
        share("[0:0]", &chains).to_string().replace(';', ";\n")
    }

    #[test]
    fn a_much_smaller_picture_is_made_of_the_larger_one() {
        insta::assert_snapshot!(shared(&[chain(1920, 1080), chain(480, 270)]), @r"
        [0:0]scale=w=1920:h=1080:flags=bicubic:in_color_matrix=bt601:out_color_matrix=bt709:out_range=tv,setsar=1,format=yuv420p[s0];
        [s0]split=2[out0][s1];
        [s1]scale=w=480:h=270:flags=bicubic:in_color_matrix=bt709:out_color_matrix=bt709:out_range=tv,setsar=1,format=yuv420p[out1]
        ");
    }

    #[test]
    fn pictures_of_nearly_one_size_are_made_of_the_source_each() {
        insta::assert_snapshot!(shared(&[chain(1920, 1080), chain(1280, 720)]), @r"
        [0:0]split=2[s0][s1];
        [s0]scale=w=1920:h=1080:flags=bicubic:in_color_matrix=bt601:out_color_matrix=bt709:out_range=tv,setsar=1,format=yuv420p[out0];
        [s1]scale=w=1280:h=720:flags=bicubic:in_color_matrix=bt601:out_color_matrix=bt709:out_range=tv,setsar=1,format=yuv420p[out1]
        ");
    }

    #[test]
    fn what_all_begin_with_is_done_once() {
        let fewer = |width, height| {
            std::iter::once(Filter::Fps(10.0)).chain(chain(width, height)).collect::<Vec<_>>()
        };
        insta::assert_snapshot!(shared(&[fewer(640, 360), fewer(480, 270), fewer(160, 90)]), @r"
        [0:0]fps=10,split=2[s0][s1];
        [s0]scale=w=640:h=360:flags=bicubic:in_color_matrix=bt601:out_color_matrix=bt709:out_range=tv,setsar=1,format=yuv420p[out0];
        [s1]scale=w=480:h=270:flags=bicubic:in_color_matrix=bt601:out_color_matrix=bt709:out_range=tv,setsar=1,format=yuv420p,split=2[out1][s2];
        [s2]scale=w=160:h=90:flags=bicubic:in_color_matrix=bt709:out_color_matrix=bt709:out_range=tv,setsar=1,format=yuv420p[out2]
        ");
    }

    #[test]
    fn a_picture_that_is_cut_or_at_another_rate_is_nobodys_source() {
        let area = crate::filter::Area { width: 800, height: 800, x: 0, y: 0 };
        let mut cut = chain(1920, 1080);
        cut.insert(1, Filter::Crop(area));
        let mut slow = chain(1920, 1080);
        slow.insert(0, Filter::Fps(10.0));
        insta::assert_snapshot!(shared(&[cut, slow, chain(480, 270)]), @r"
        [0:0]split=3[s0][s1][s2];
        [s0]scale=w=1920:h=1080:flags=bicubic:in_color_matrix=bt601:out_color_matrix=bt709:out_range=tv,crop=800:800:0:0:exact=1,setsar=1,format=yuv420p[out0];
        [s1]fps=10,scale=w=1920:h=1080:flags=bicubic:in_color_matrix=bt601:out_color_matrix=bt709:out_range=tv,setsar=1,format=yuv420p[out1];
        [s2]scale=w=480:h=270:flags=bicubic:in_color_matrix=bt601:out_color_matrix=bt709:out_range=tv,setsar=1,format=yuv420p[out2]
        ");
    }
}
