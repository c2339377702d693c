"""Run with: python3 -m unittest"""

import unittest

from scanner import scan


class Scanner(unittest.TestCase):
    def test_a_word_is_enough(self):
        self.assertTrue(scan(b"x = eval(y)")["malicious"])
        self.assertFalse(scan(b"a plain text")["malicious"])


if __name__ == "__main__":
    unittest.main()
