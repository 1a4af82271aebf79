"""The parsers of what strangers may write, each as a function of bytes; and the fuzzer that feeds them."""
