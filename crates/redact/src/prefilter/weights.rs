//! How often bytes are in texts, by which triggers are chosen and sorted into buckets.

use super::PLACE;

/// Returns how often a byte occurs in what agents log, roughly, per two thousand bytes.
pub(super) fn byte_weight(byte: u8) -> f64 {
    const LETTERS: [u8; 26] = [
        70, 12, 30, 35, 100, 15, 15, 30, 62, 2, 6, 35, 22, 65, 65, 22, 1, 60, 60, 75, 25, 8, 10, 3,
        12, 1,
    ];
    match byte {
        b' ' => 200.0,
        b'a'..=b'z' => f64::from(LETTERS[usize::from(byte - b'a')]),
        b'0'..=b'9' => 20.0,
        b'A'..=b'Z' => 6.0,
        b'-' | b'_' | b'.' | b',' | b'"' | b':' | b'/' | b'=' | b'\n' => 15.0,
        b'!'..=b'~' => 4.0,
        _ => 0.5,
    }
}

fn byte_set_weight(bytes: &[u8]) -> f64 {
    bytes.iter().copied().map(byte_weight).sum()
}

/// Returns how often places have one byte of each set, in arbitrary units. It is used to choose the
/// four bytes of a longer text that make a good trigger.
pub(crate) fn trigger_weight(bytes: [&[u8]; PLACE]) -> f64 {
    bytes.into_iter().map(byte_set_weight).product()
}

/// The sums of the weights of any of eight bytes that follow each other.
pub(super) struct ByteWeights(Box<[[f32; 256]; 32]>);

impl ByteWeights {
    pub(super) fn new() -> Self {
        let mut sums = Box::new([[0.0; 256]; 32]);
        for (i, sums) in sums.iter_mut().enumerate() {
            for bits in 1..sums.len() {
                let least = bits.trailing_zeros() as usize;
                sums[bits] = sums[bits & (bits - 1)] + byte_weight((8 * i + least) as u8) as f32;
            }
        }
        Self(sums)
    }

    /// Returns the weight of a set of bytes: a bit for each, from the byte `8 * first` on.
    pub(super) fn sum(&self, first: usize, set: &[u8]) -> f32 {
        self.0[first..].iter().zip(set).map(|(sums, bits)| sums[usize::from(*bits)]).sum()
    }
}
