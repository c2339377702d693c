//! Containers and images in their smallest valid form: base64, stored ZIP, PNG, GIF.
//!
//! Made by hand so that no library's version can change the shipped bytes.

/// Base64 with padding, on one line.
pub(crate) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let group = u32::from_be_bytes([0, chunk[0], chunk.get(1).copied().unwrap_or(0), chunk.get(2).copied().unwrap_or(0)]);
        for digit in 0..4 {
            let index = (group >> (18 - 6 * digit)) & 63;
            text.push(if digit <= chunk.len() { DIGITS[index as usize].into() } else { '=' });
        }
    }
    text
}

/// A ZIP archive that stores `files` as they are, all dated 2024-03-01 12:00.
pub(crate) fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    const DATE: u16 = (2024 - 1980) << 9 | 3 << 5 | 1;
    const TIME: u16 = 12 << 11;
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    for (name, bytes) in files {
        let mut common = Vec::new();
        // Version 1.0 to extract, no flags, stored.
        for number in [10, 0, 0, TIME, DATE] {
            common.extend(u16::to_le_bytes(number));
        }
        let size = bytes.len() as u32;
        for number in [crc32(bytes), size, size] {
            common.extend(u32::to_le_bytes(number));
        }
        common.extend(u16::to_le_bytes(name.len() as u16));
        common.extend([0; 2]);
        let offset = archive.len() as u32;
        archive.extend(b"PK\x03\x04");
        archive.extend(&common);
        archive.extend(name.as_bytes());
        archive.extend(*bytes);
        // Made by version 1.0; no comment, disk 0, no attributes.
        directory.extend(b"PK\x01\x02\x0a\x00");
        directory.extend(&common);
        directory.extend([0; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let (start, length) = (archive.len() as u32, directory.len() as u32);
    let count = (files.len() as u16).to_le_bytes();
    archive.extend(directory);
    archive.extend(b"PK\x05\x06\x00\x00\x00\x00");
    archive.extend([count, count].concat());
    archive.extend([length.to_le_bytes(), start.to_le_bytes()].concat());
    archive.extend([0; 2]);
    archive
}

/// A square grey PNG; `pixels` are `side * side` shades.
pub(crate) fn png(side: u32, pixels: &[u8]) -> Vec<u8> {
    let mut header = [side.to_be_bytes(), side.to_be_bytes()].concat();
    // Eight bits of grey, deflate, no filter method but 0, not interlaced.
    header.extend([8, 0, 0, 0, 0]);
    let mut lines = Vec::new();
    for line in pixels.chunks(side as usize) {
        lines.push(0);
        lines.extend(line);
    }
    // A zlib stream of one stored block.
    let length = lines.len() as u16;
    let mut data = vec![0x78, 0x01, 0x01];
    data.extend([length.to_le_bytes(), (!length).to_le_bytes()].concat());
    data.extend(&lines);
    data.extend(adler32(&lines).to_be_bytes());
    let mut image = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, body) in [(b"IHDR", header), (b"IDAT", data), (b"IEND", Vec::new())] {
        image.extend((body.len() as u32).to_be_bytes());
        let chunk = [&kind[..], &body].concat();
        image.extend(&chunk);
        image.extend(crc32(&chunk).to_be_bytes());
    }
    image
}

/// A square GIF of four shades; `pixels` are `side * side` numbers below 4.
pub(crate) fn gif(side: u16, pixels: &[u8]) -> Vec<u8> {
    const CLEAR: u8 = 4;
    const END: u8 = 5;
    let mut image = b"GIF89a".to_vec();
    image.extend([side.to_le_bytes(), side.to_le_bytes()].concat());
    image.extend([0x81, 0, 0]);
    image.extend([0, 0, 0, 85, 85, 85, 170, 170, 170, 255, 255, 255]);
    image.extend([b',', 0, 0, 0, 0]);
    image.extend([side.to_le_bytes(), side.to_le_bytes()].concat());
    image.extend([0, 2]);
    // A clear code before every two pixels keeps the dictionary empty and all codes three bits wide.
    let mut codes = Vec::new();
    for pair in pixels.chunks(2) {
        codes.push(CLEAR);
        codes.extend(pair);
    }
    codes.push(END);
    let mut packed = vec![0; (codes.len() * 3).div_ceil(8)];
    for (index, code) in codes.iter().enumerate() {
        for bit in 0..3 {
            let place = 3 * index + bit;
            packed[place / 8] |= (code >> bit & 1) << (place % 8);
        }
    }
    for block in packed.chunks(255) {
        image.push(block.len() as u8);
        image.extend(block);
    }
    image.extend([0, b';']);
    image
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

fn adler32(bytes: &[u8]) -> u32 {
    let (low, high) = bytes.iter().fold((1, 0), |(low, high), byte| {
        let low = (low + u32::from(*byte)) % 65_521;
        (low, (high + low) % 65_521)
    });
    high << 16 | low
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn base64_is_that_of_rfc_4648() {
        let cases = [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")];
        for (plain, encoded) in cases {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
    }

    #[test]
    fn the_data_of_a_png_is_a_zlib_stream() {
        let image = png(2, &[1, 2, 3, 4]);
        let start = image.windows(4).position(|window| window == b"IDAT").unwrap() + 4;
        let mut lines = Vec::new();
        flate2::read::ZlibDecoder::new(&image[start..]).read_to_end(&mut lines).unwrap();
        assert_eq!(lines, [0, 1, 2, 0, 3, 4]);
    }
}
