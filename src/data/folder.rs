//! Turns a folder with the four files of a data set into training and test data.
//!
//! Why it exists: the four files only make sense together. Here they are found under the names
//! people give them, read, and checked against each other, so that the rest of the program can rely
//! on one label per image, one image size and labels within the classes.
//!
//! Where to go next: [`super::idx`] reads the single files, [`super::verify`] tells whether they are
//! the published ones.

use std::path::{Path, PathBuf};

use super::catalogue::Role;
use super::error::DataError;
use super::idx::{self, Images};

/// Images with their labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// Grey values, image after image.
    pub pixels: Vec<u8>,
    /// One label for each image.
    pub labels: Vec<u8>,
}

/// A complete data set in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// What to learn from.
    pub train: Split,
    /// What to test with.
    pub test: Split,
    /// Height of each image in pixels.
    pub rows: usize,
    /// Width of each image in pixels.
    pub cols: usize,
    /// Number of classes: one more than the largest training label.
    pub classes: usize,
    /// The files read, each with the SHA-256 of its stored bytes in lower-case hexadecimal.
    pub files: Vec<(PathBuf, String)>,
}

/// Reads the four files of a data set and checks them against each other.
///
/// Each file may be raw or gzip and spelled in any of the ways of [`Role::spellings`]; where several
/// spellings lie side by side, the first one in that order is read.
///
/// # Errors
/// When a file is missing, cannot be read, or does not fit the others.
pub fn open_folder(dir: &Path) -> Result<Folder, DataError> {
    let paths = locate_all(dir)?;
    let mut files = Vec::new();
    let [train_images, train_labels, test_images, test_labels] = &paths;
    let (train_size, train) = read_split(train_images, train_labels, &mut files)?;
    let (test_size, test) = read_split(test_images, test_labels, &mut files)?;
    if test_size != train_size {
        return Err(DataError::SizeMismatch { test: test_images.clone(), expected: train_size, found: test_size });
    }
    let largest = train.labels.iter().copied().max().unwrap_or(0);
    if largest == 0 {
        let path = train_labels.clone();
        return Err(DataError::OneClass { path });
    }
    let classes = usize::from(largest) + 1;
    check_labels(test_labels, &test.labels, classes)?;
    let (rows, cols) = train_size;
    Ok(Folder { train, test, rows, cols, classes, files })
}

/// The first existing spelling of one part of a data set.
pub(crate) fn locate(dir: &Path, role: Role) -> Option<PathBuf> {
    let mut candidates = role.spellings().into_iter().map(|name| dir.join(name));
    candidates.find(|path| path.exists())
}

/// Finds all four files, or says everything that is missing at once.
fn locate_all(dir: &Path) -> Result<[PathBuf; 4], DataError> {
    let roles = [Role::TrainImages, Role::TrainLabels, Role::TestImages, Role::TestLabels];
    let dir_buf = dir.to_path_buf();
    if !dir.is_dir() {
        return Err(DataError::NotAFolder { dir: dir_buf });
    }
    let found = roles.map(|role| locate(dir, role));
    if let [Some(first), Some(second), Some(third), Some(fourth)] = found {
        return Ok([first, second, third, fourth]);
    }
    let absent = roles.iter().zip(&found).filter(|(_, path)| path.is_none());
    let sentences: Vec<String> =
        absent.map(|(role, _)| format!("no {role} (looked for {})", role.spellings().join(", "))).collect();
    let missing = sentences.join("; ");
    Err(DataError::MissingFiles { dir: dir_buf, missing })
}

/// Rows and columns of the images, and the images with their labels.
fn read_split(
    images_path: &Path,
    labels_path: &Path,
    files: &mut Vec<(PathBuf, String)>,
) -> Result<((usize, usize), Split), DataError> {
    let (images, images_digest) = idx::read_images_hashed(images_path)?;
    let (labels, labels_digest) = idx::read_labels_hashed(labels_path)?;
    files.push((images_path.to_path_buf(), images_digest));
    files.push((labels_path.to_path_buf(), labels_digest));
    if images.count != labels.len() {
        return Err(DataError::CountMismatch {
            images: images_path.to_path_buf(),
            image_count: images.count,
            labels: labels_path.to_path_buf(),
            label_count: labels.len(),
        });
    }
    let Images { rows, cols, pixels, .. } = images;
    Ok(((rows, cols), Split { pixels, labels }))
}

/// A network has one output for each class seen in training, so no other label may occur.
fn check_labels(path: &Path, labels: &[u8], classes: usize) -> Result<(), DataError> {
    let outside = labels.iter().enumerate().find(|(_, value)| usize::from(**value) >= classes);
    match outside {
        None => Ok(()),
        Some((index, &value)) => Err(DataError::LabelOutOfRange { path: path.to_path_buf(), index, value, classes }),
    }
}
