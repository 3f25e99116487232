"""Files -> page images: what a file is, the engines that draw it, and what keeps a damaged file from doing harm."""
