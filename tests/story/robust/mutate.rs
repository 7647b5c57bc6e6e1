//! Files that are almost media: made from real ones, by a seed.

use rand::rngs::StdRng;
use rand::{Rng as _, RngExt as _, SeedableRng as _};

/// Numbers on which parsers stumble.
const EDGES: [u32; 6] = [0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe, 0xffff_ffff];

/// The `nth` file made of `clips` by `seed`: a name that says how, and its bytes.
pub(super) fn mutated(clips: &[(String, Vec<u8>)], seed: u64, nth: u64) -> (String, Vec<u8>) {
    let mut chance = StdRng::seed_from_u64(seed.wrapping_mul(1_000_003).wrapping_add(nth));
    let (name, clip) = &clips[chance.random_range(0..clips.len())];
    let (other_name, other) = &clips[chance.random_range(0..clips.len())];
    let (how, bytes) = match nth % 7 {
        0 => ("flipped", flipped(clip, &mut chance)),
        1 => ("cut", clip[..chance.random_range(0..clip.len())].to_vec()),
        2 => ("beheaded", clip[chance.random_range(1..clip.len().min(4096))..].to_vec()),
        3 => {
            let (end, start) = (at(clip, &mut chance), at(other, &mut chance));
            let bytes = [&clip[..end], &other[start..]].concat();
            return (format!("{nth}-{name}-then-{other_name}"), bytes);
        }
        4 => ("edged", edged(clip, &mut chance)),
        5 => ("holed", holed(clip, &mut chance)),
        _ => ("doubled", doubled(clip, &mut chance)),
    };
    (format!("{nth}-{how}-{name}"), bytes)
}

/// A place in a file, half of the time among its headers.
fn at(clip: &[u8], chance: &mut StdRng) -> usize {
    let among = if chance.random() { clip.len() } else { clip.len().min(4096) };
    chance.random_range(0..among)
}

fn flipped(clip: &[u8], chance: &mut StdRng) -> Vec<u8> {
    let mut bytes = clip.to_vec();
    for _ in 0..1 << chance.random_range(0..9) {
        bytes[at(clip, chance)] ^= 1 << chance.random_range(0..8);
    }
    bytes
}

/// Numbers of four bytes, either end first, become others.
fn edged(clip: &[u8], chance: &mut StdRng) -> Vec<u8> {
    let mut bytes = clip.to_vec();
    for _ in 0..1 << chance.random_range(0..5) {
        let at = at(clip, chance).min(bytes.len() - 4) & !3;
        let edge = EDGES[chance.random_range(0..EDGES.len())];
        let number = if chance.random() { edge.to_be_bytes() } else { edge.to_le_bytes() };
        bytes[at..at + 4].copy_from_slice(&number);
    }
    bytes
}

fn holed(clip: &[u8], chance: &mut StdRng) -> Vec<u8> {
    let mut bytes = clip.to_vec();
    let start = at(clip, chance);
    let end = (start + chance.random_range(1..8192)).min(bytes.len());
    if chance.random() {
        bytes[start..end].fill(0);
    } else {
        chance.fill_bytes(&mut bytes[start..end]);
    }
    bytes
}

fn doubled(clip: &[u8], chance: &mut StdRng) -> Vec<u8> {
    let start = at(clip, chance);
    let end = (start + chance.random_range(1..65_536)).min(clip.len());
    [&clip[..end], &clip[start..]].concat()
}
