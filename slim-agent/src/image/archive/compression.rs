//! Layers that are stored compressed: entries are read in any order, which a compressed stream does not allow.

use std::fs::File;
use std::io;

use anyhow::{Context, Result};
use flate2::read::MultiGzDecoder;
use ruzstd::decoding::StreamingDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};

use super::section::Section;
use crate::image::temporary;

/// Most memory that unpacking may take: the largest window of `zstd` unless it is told to use a longer one.
const MAX_WINDOW: u64 = 128 << 20;

/// The layer as a plain tar archive.
pub(super) fn plain(layer: Section) -> Result<Section> {
    let magic = layer.part(0, layer.len().min(4))?.bytes(4)?;
    let unpack = match magic[..] {
        [0x1f, 0x8b, ..] => gzip,
        [0x28, 0xb5, 0x2f, 0xfd] => zstd,
        _ => return Ok(layer),
    };
    let mut unpacked = temporary()?;
    unpack(layer, &mut unpacked).context("cannot decompress it")?;
    Section::whole(unpacked)
}

fn gzip(layer: Section, to: &mut File) -> Result<()> {
    io::copy(&mut MultiGzDecoder::new(layer), to)?;
    Ok(())
}

fn zstd(mut layer: Section, to: &mut File) -> Result<()> {
    while layer.len() > 0 {
        match StreamingDecoder::new_with_max_window_size(&mut layer, MAX_WINDOW) {
            Ok(mut frame) => drop(io::copy(&mut frame, to)?),
            // Some builders append tables of contents in frames that are to be skipped.
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                length, ..
            })) => {
                let length = u64::from(length);
                layer = layer.part(length, layer.len().saturating_sub(length))?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use proptest::prelude::*;
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    use super::*;

    fn unpacked(stored: &[u8]) -> Result<Vec<u8>> {
        let mut file = temporary()?;
        file.write_all(stored)?;
        let mut bytes = Vec::new();
        plain(Section::whole(file)?)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    #[test]
    fn zstd_layers_of_several_frames() {
        let frame = |bytes: &[u8]| compress_to_vec(bytes, CompressionLevel::Fastest);
        let skipped = [&0x184D_2A5E_u32.to_le_bytes()[..], &3u32.to_le_bytes(), b"toc"].concat();
        let stored = [frame(b"one "), skipped, frame(&[b'2'; 100_000])].concat();
        assert!(unpacked(&stored).unwrap() == [b"one ", &[b'2'; 100_000][..]].concat());
        assert!(unpacked(&stored[..stored.len() - 1]).is_err());
    }

    proptest! {
        #[test]
        fn any_stored_bytes_are_unpacked_or_refused(
            magic in prop::sample::select(vec![&b""[..], &[0x1f, 0x8b, 8, 0], &[0x28, 0xb5, 0x2f, 0xfd]]),
            rest: Vec<u8>,
        ) {
            let _ = unpacked(&[magic, &rest].concat());
        }
    }
}
