//! A data set in memory, and minibatches of it as the network wants them.
//!
//! Pixels stay bytes until a batch is made; then `x = pixel / 255` (appendix A.1: values in [0, 1]) or `x = pixel / 127.5 − 1` (the
//! authors' program: [−1, 1]), feature-major, and the target is one-hot. The order of an epoch is a function of seed and epoch, so a resumed run sees the same batches.

use std::path::Path;

use ndarray::Array2;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::digits;
use super::error::DataError;
use super::folder::{Split, open_folder};
use crate::math::random::{Purpose, Stream};
use crate::math::{Field, Real, values_mut};

/// The interval that pixels are scaled to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// [0, 1].
    #[default]
    Unit,
    /// [−1, 1].
    Symmetric,
}

impl Scale {
    /// The number a pixel becomes.
    fn of(self, pixel: u8) -> f64 {
        match self {
            Self::Unit => f64::from(pixel) / 255.0,
            Self::Symmetric => f64::from(pixel) / 127.5 - 1.0,
        }
    }
}

/// Labelled samples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    pixels: Vec<u8>,
    labels: Vec<u8>,
    features: usize,
    classes: usize,
    scale: Scale,
}

impl Dataset {
    fn new(split: Split, features: usize, classes: usize) -> Self {
        assert_eq!(split.pixels.len(), split.labels.len() * features, "one image per label");
        Self { pixels: split.pixels, labels: split.labels, features, classes, scale: Scale::default() }
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// True without samples.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Numbers per sample.
    pub fn features(&self) -> usize {
        self.features
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The class of a sample.
    pub fn label(&self, sample: usize) -> u8 {
        self.labels[sample]
    }

    /// The pixels of a sample.
    pub fn image(&self, sample: usize) -> &[u8] {
        &self.pixels[sample * self.features..(sample + 1) * self.features]
    }

    /// Data (`features × batch`) and one-hot targets (`classes × batch`) of some samples.
    pub fn batch<T: Real>(&self, samples: &[usize]) -> (Field<T>, Field<T>) {
        let scale: Vec<T> = (0..=255).map(|pixel| T::of(self.scale.of(pixel))).collect();
        let batch = samples.len();
        let mut data = Array2::zeros((self.features, batch));
        let out = values_mut(&mut data);
        for (column, &sample) in samples.iter().enumerate() {
            for (feature, &pixel) in self.image(sample).iter().enumerate() {
                out[feature * batch + column] = scale[usize::from(pixel)];
            }
        }
        let mut target = Array2::zeros((self.classes, batch));
        for (column, &sample) in samples.iter().enumerate() {
            target[[usize::from(self.labels[sample]), column]] = T::one();
        }
        (data, target)
    }

    /// From now on pixels are scaled to this interval.
    pub fn rescale(&mut self, scale: Scale) {
        self.scale = scale;
    }

    /// The order in which an epoch visits the samples.
    pub fn order(&self, shuffle: bool, seed: u64, epoch: u64) -> Vec<usize> {
        if shuffle {
            Stream::new(seed, Purpose::Order, epoch).permutation(self.len())
        } else {
            (0..self.len()).collect()
        }
    }

    fn keep_first(&mut self, samples: usize) {
        self.labels.truncate(samples);
        self.pixels.truncate(samples * self.features);
    }

    fn split_off(&mut self, at: usize) -> Self {
        let (pixels, labels) = (self.pixels.split_off(at * self.features), self.labels.split_off(at));
        Self { pixels, labels, features: self.features, classes: self.classes, scale: self.scale }
    }
}

/// How many samples of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Training samples before the validation set is taken off; zero: all there are.
    pub train: usize,
    /// Taken from the end of the training samples.
    pub validation: usize,
    /// Test samples; zero: all there are.
    pub test: usize,
}

/// Training, validation and test samples, and where they come from.
#[derive(Clone, Debug)]
pub struct Splits {
    /// What is learnt from.
    pub train: Dataset,
    /// Held out of the training samples; may be empty.
    pub validation: Dataset,
    /// Never learnt from.
    pub test: Dataset,
    /// Name and SHA-256 of every source: files, or the generator's output.
    pub sources: Vec<(String, String)>,
}

impl Splits {
    /// The same samples with their pixels on another interval.
    #[must_use]
    pub fn rescaled(mut self, scale: Scale) -> Self {
        [&mut self.train, &mut self.validation, &mut self.test].into_iter().for_each(|set| set.rescale(scale));
        self
    }
}

/// The embedded digits.
pub fn generated(seed: u64, sizes: Sizes) -> Splits {
    let [train, test] = [(0, sizes.train), (1, sizes.test)].map(|(stream, count)| {
        let mut split = Split { pixels: Vec::with_capacity(count * digits::PIXELS), labels: Vec::with_capacity(count) };
        for index in 0..count as u64 {
            let (image, label) = digits::draw(seed, stream, index);
            split.pixels.extend_from_slice(&image);
            split.labels.push(label);
        }
        Dataset::new(split, digits::PIXELS, digits::CLASSES)
    });
    let sources = [("digits/train", &train), ("digits/test", &test)].map(|(name, set)| {
        let mut digest = Sha256::new();
        digest.update(&set.pixels);
        digest.update(&set.labels);
        let hex: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        (format!("{name} (seed {seed})"), hex)
    });
    split(train, test, sizes, sources.to_vec())
}

/// A folder of IDX files.
pub fn from_folder(dir: &Path, sizes: Sizes) -> Result<Splits, DataError> {
    let folder = open_folder(dir)?;
    let features = folder.rows * folder.cols;
    let mut train = Dataset::new(folder.train, features, folder.classes);
    let mut test = Dataset::new(folder.test, features, folder.classes);
    for (set, wanted, key) in [(&mut train, sizes.train, "data.train"), (&mut test, sizes.test, "data.test")] {
        if wanted > set.len() {
            return Err(DataError::TooFew { key, wanted, held: set.len(), dir: dir.to_path_buf() });
        }
        if wanted > 0 {
            set.keep_first(wanted);
        }
    }
    if sizes.validation >= train.len() {
        let (wanted, held) = (sizes.validation, train.len());
        return Err(DataError::TooFew { key: "data.validation", wanted, held, dir: dir.to_path_buf() });
    }
    let sources = folder.files.into_iter().map(|(path, digest)| (path.display().to_string(), digest)).collect();
    Ok(split(train, test, sizes, sources))
}

fn split(mut train: Dataset, test: Dataset, sizes: Sizes, sources: Vec<(String, String)>) -> Splits {
    let validation = train.split_off(train.len().saturating_sub(sizes.validation));
    Splits { train, validation, test, sources }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_feature_major_scaled_and_one_hot() {
        let sizes = Sizes { train: 30, validation: 5, test: 10 };
        let splits = generated(1, sizes);
        assert_eq!((splits.train.len(), splits.validation.len(), splits.test.len()), (25, 5, 10));
        let (data, target) = splits.train.batch::<f32>(&[3, 17, 4]);
        assert_eq!((data.dim(), target.dim()), ((784, 3), (10, 3)));
        for (column, sample) in [3, 17, 4].into_iter().enumerate() {
            let image = splits.train.image(sample);
            assert!((0..784).all(|f| data[[f, column]] == (f64::from(image[f]) / 255.0) as f32));
            assert_eq!(target[[usize::from(splits.train.label(sample)), column]], 1.0);
            assert_eq!(target.column(column).sum(), 1.0);
        }
    }

    #[test]
    fn the_symmetric_scale_runs_from_minus_one_to_one() {
        let splits = generated(1, Sizes { train: 30, validation: 5, test: 10 }).rescaled(Scale::Symmetric);
        for set in [&splits.train, &splits.validation, &splits.test] {
            let (data, _) = set.batch::<f64>(&[0, 1]);
            for (column, sample) in [0, 1].into_iter().enumerate() {
                for (feature, &pixel) in set.image(sample).iter().enumerate() {
                    assert!((data[[feature, column]] - (2.0 * f64::from(pixel) / 255.0 - 1.0)).abs() < 1e-15);
                }
            }
            assert_eq!(data.iter().copied().fold(f64::INFINITY, f64::min), -1.0);
        }
    }

    #[test]
    fn validation_is_the_end_of_the_training_set_and_orders_depend_on_seed_and_epoch() {
        let whole = generated(1, Sizes { train: 30, validation: 0, test: 1 }).train;
        let cut = generated(1, Sizes { train: 30, validation: 5, test: 1 });
        assert_eq!(cut.validation.image(0), whole.image(25));
        assert_eq!(whole.order(true, 1, 2), whole.order(true, 1, 2));
        assert_ne!(whole.order(true, 1, 2), whole.order(true, 1, 3));
        assert_ne!(whole.order(true, 1, 2), whole.order(true, 2, 2));
        assert_eq!(whole.order(false, 1, 2), (0..30).collect::<Vec<_>>());
    }
}
