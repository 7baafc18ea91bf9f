//! The data sets that can be downloaded by name, each file pinned by its SHA-256.
//!
//! Why it exists: a mirror is only a place to get bytes from; which bytes are right is decided here.
//! Because of that, plain http mirrors are as good as https ones, and https addresses are only tried
//! in builds with the `https` feature.
//!
//! The digests of the compressed files are the ones published in the checksum lists of TensorFlow
//! Datasets (`mnist.txt`, `fashion_mnist.txt`, `kmnist.txt`). The same images are also passed around
//! compressed in other ways or not at all, so for MNIST the digests of the uncompressed files are
//! pinned too; for the other two none is known from a trustworthy source.
//!
//! Where to go next: [`super::fetch`] downloads from here, [`super::verify`] compares with it,
//! [`super::folder`] reads any folder with such files, catalogued or not.

use std::fmt;

use super::error::DataError;
use super::idx_problem::Kind;

/// The four parts every data set of this family has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Images to learn from.
    TrainImages,
    /// Their labels.
    TrainLabels,
    /// Images to test with.
    TestImages,
    /// Their labels.
    TestLabels,
}

impl Role {
    /// Whether the part holds images or labels.
    #[must_use]
    pub fn kind(self) -> Kind {
        match self {
            Role::TrainImages | Role::TestImages => Kind::Images,
            Role::TrainLabels | Role::TestLabels => Kind::Labels,
        }
    }

    /// File names people use for this part, the published one first.
    ///
    /// Some unpacking programs turn the last dash but one into a dot, and that spelling spread.
    #[must_use]
    pub fn spellings(self) -> [String; 4] {
        let (stem, ending) = match self {
            Role::TrainImages => ("train-images", "idx3-ubyte"),
            Role::TrainLabels => ("train-labels", "idx1-ubyte"),
            Role::TestImages => ("t10k-images", "idx3-ubyte"),
            Role::TestLabels => ("t10k-labels", "idx1-ubyte"),
        };
        [
            format!("{stem}-{ending}.gz"),
            format!("{stem}-{ending}"),
            format!("{stem}.{ending}.gz"),
            format!("{stem}.{ending}"),
        ]
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Role::TrainImages => "training images",
            Role::TrainLabels => "training labels",
            Role::TestImages => "test images",
            Role::TestLabels => "test labels",
        })
    }
}

/// One file of a data set, as the mirrors serve it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFile {
    /// Which of the four parts it is.
    pub role: Role,
    /// Its name on the mirrors and in the data folder.
    pub name: &'static str,
    /// Its length as served, that is, compressed.
    pub bytes: u64,
    /// SHA-256 of the file as served, in lower-case hexadecimal.
    pub sha256: &'static str,
    /// SHA-256 of the uncompressed IDX file, where it is known.
    pub content_sha256: Option<&'static str>,
    /// How many images or labels it holds.
    pub items: usize,
}

/// A data set that can be fetched by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataSet {
    /// The name to call it by.
    pub name: &'static str,
    /// Its files, one for each part.
    pub files: [DataFile; 4],
    /// Where to get the files, in the order to try; each address continues with the file's name.
    pub mirrors: &'static [&'static str],
}

/// The data sets there are.
pub static KNOWN: [DataSet; 3] = [MNIST, FASHION_MNIST, KMNIST];

/// Looks up a data set by its name.
///
/// # Errors
/// When there is none of that name; the error lists the names there are.
pub fn find(name: &str) -> Result<&'static DataSet, DataError> {
    let found = KNOWN.iter().find(|dataset| dataset.name == name);
    found.ok_or_else(|| {
        let known: Vec<&str> = KNOWN.iter().map(|dataset| dataset.name).collect();
        DataError::UnknownDataSet { name: name.to_string(), known: known.join(", ") }
    })
}

/// Handwritten digits.
const MNIST: DataSet = DataSet {
    name: "mnist",
    files: [
        DataFile {
            role: Role::TrainImages,
            name: "train-images-idx3-ubyte.gz",
            bytes: 9_912_422,
            sha256: "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            content_sha256: Some("ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
            items: 60_000,
        },
        DataFile {
            role: Role::TrainLabels,
            name: "train-labels-idx1-ubyte.gz",
            bytes: 28_881,
            sha256: "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            content_sha256: Some("65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
            items: 60_000,
        },
        DataFile {
            role: Role::TestImages,
            name: "t10k-images-idx3-ubyte.gz",
            bytes: 1_648_877,
            sha256: "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            content_sha256: Some("0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
            items: 10_000,
        },
        DataFile {
            role: Role::TestLabels,
            name: "t10k-labels-idx1-ubyte.gz",
            bytes: 4_542,
            sha256: "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            content_sha256: Some("ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
            items: 10_000,
        },
    ],
    mirrors: &[
        "http://ossci-datasets.s3.amazonaws.com/mnist/",
        "http://storage.googleapis.com/cvdf-datasets/mnist/",
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ],
};

/// Pictures of clothes.
const FASHION_MNIST: DataSet = DataSet {
    name: "fashion-mnist",
    files: [
        DataFile {
            role: Role::TrainImages,
            name: "train-images-idx3-ubyte.gz",
            bytes: 26_421_880,
            sha256: "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            content_sha256: None,
            items: 60_000,
        },
        DataFile {
            role: Role::TrainLabels,
            name: "train-labels-idx1-ubyte.gz",
            bytes: 29_515,
            sha256: "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            content_sha256: None,
            items: 60_000,
        },
        DataFile {
            role: Role::TestImages,
            name: "t10k-images-idx3-ubyte.gz",
            bytes: 4_422_102,
            sha256: "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            content_sha256: None,
            items: 10_000,
        },
        DataFile {
            role: Role::TestLabels,
            name: "t10k-labels-idx1-ubyte.gz",
            bytes: 5_148,
            sha256: "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            content_sha256: None,
            items: 10_000,
        },
    ],
    mirrors: &[
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://fashion-mnist.s3.eu-central-1.amazonaws.com/",
        "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
    ],
};

/// Handwritten Japanese characters from old books.
const KMNIST: DataSet = DataSet {
    name: "kmnist",
    files: [
        DataFile {
            role: Role::TrainImages,
            name: "train-images-idx3-ubyte.gz",
            bytes: 18_165_135,
            sha256: "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
            content_sha256: None,
            items: 60_000,
        },
        DataFile {
            role: Role::TrainLabels,
            name: "train-labels-idx1-ubyte.gz",
            bytes: 29_497,
            sha256: "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
            content_sha256: None,
            items: 60_000,
        },
        DataFile {
            role: Role::TestImages,
            name: "t10k-images-idx3-ubyte.gz",
            bytes: 3_041_136,
            sha256: "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
            content_sha256: None,
            items: 10_000,
        },
        DataFile {
            role: Role::TestLabels,
            name: "t10k-labels-idx1-ubyte.gz",
            bytes: 5_120,
            sha256: "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
            content_sha256: None,
            items: 10_000,
        },
    ],
    mirrors: &["http://codh.rois.ac.jp/kmnist/dataset/kmnist/", "https://codh.rois.ac.jp/kmnist/dataset/kmnist/"],
};
