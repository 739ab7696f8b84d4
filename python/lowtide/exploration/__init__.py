"""Every plan worth having, from whole layers to the least RAM, compiled and measured: `lowtide explore`."""
