"""What an option like --archives names: files, folders, globs, path lists, crawls."""
