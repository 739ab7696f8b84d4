import ctypes

uclib: ctypes.CDLL
